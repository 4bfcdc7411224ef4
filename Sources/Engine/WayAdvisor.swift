// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote

/// Looks at a cluster for a ``WayAdvice``, read-only.
package enum WayAdvisor {
    /// What is said of a play before it is run.
    package enum Opinion: Sendable, Hashable {
        case advice(WayAdvice)
        /// Why there is none.
        case none(String)
    }

    /// Between the two looks: more than a SYNC, by which etcd lets keys expire, is apart from the next.
    private static let pause = Duration.milliseconds(1200)

    /// Looks twice at each member of a play that migrates.
    ///
    /// - Parameters:
    ///   - play: the play; nothing is said of one that migrates nothing.
    ///   - hosts: the ways to its members; a read-only directory is enough.
    /// - Returns: the advice, or why none can be given.
    package static func look(_ play: Play, _ hosts: HostDirectory) async -> Opinion? {
        guard way(of: play) != nil else { return nil }
        let nodes = hosts.etcdNodes(of: play)
        let first = await ClusterProbe.standings(nodes).compactMapValues { try? $0.get() }
        try? await Task.sleep(for: pause)
        let answers = await ClusterProbe.standings(nodes)
        let second = answers.compactMapValues { try? $0.get() }
        for answer in answers.sorted(by: { $0.key < $1.key }).map(\.value) {
            if case .failure(let error) = answer { return .none("\(error)") }
        }
        return .advice(WayAdvice.choose(first: first, second: second))
    }

    /// The way that a play goes; `nil` for one that does not migrate.
    package static func way(of play: Play) -> WayAdvice.Way? {
        let actions = Set(play.steps.flatMap { $0.byHost.values.map(\.action) })
        guard actions.contains("etcd_migrate") else { return nil }
        if actions.contains("etcd_new_cluster") { return .reseed }
        return play.playbook.serial.value == .all ? .stopped : .rolling
    }

    /// The command that goes the way of an advice, for the inventory of a request.
    package static func command(_ advice: WayAdvice, for request: RunRequest) -> String {
        let place = request.playbook.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        var words = ["pawl", "run"] + request.inventory.arguments
        words.append((place + [Substring(advice.way.playbook)]).joined(separator: "/"))
        if let limit = request.limit { words += ["--limit", limit] }
        for argument in request.extraVariables + advice.variables { words += ["-e", argument] }
        return ShellQuoting.line(words)
    }
}

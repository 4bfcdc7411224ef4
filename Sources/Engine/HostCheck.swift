// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Remote

/// Whether hosts can be worked on: reached, elevated, with the tools that the actions need, with room and the time of day.
///
/// One command a host, which changes nothing.
package struct HostCheck: Sendable {
    /// What one host answered.
    package struct Answer: Sendable, Codable {
        package var host: String
        /// Whether a run could begin on it.
        package var isUsable: Bool
        /// The user that commands run as.
        package var user: String?
        package var etcd: String?
        package var etcdctl: String?
        /// Free space where backups go.
        package var freeSpace: String?
        /// The node's clock minus the controller's, in seconds; the way back is part of it.
        package var clockOffsetSeconds: Double?
        package var problems: [HostProblem]

        package init(host: String, isUsable: Bool, problems: [HostProblem] = []) {
            self.host = host
            self.isUsable = isUsable
            self.problems = problems
        }
    }

    /// An answer with the clock as it is known for certain.
    private struct Look: Sendable {
        var answer: Answer
        /// How far the node's clock is ahead of this machine's.
        var clock: ClockReading?
        /// What tells its node from others.
        var node: String?
    }

    /// The hosts in inventory order.
    package var hosts: [String] { work.map(\.host.name) }

    private let work: [InspectedHost]

    /// Contacts nothing.
    ///
    /// - Parameters:
    ///   - inventory: the sources, as `-i` names them.
    ///   - limit: a host pattern; `nil` for all hosts.
    ///   - extraVariables: the arguments of `-e`.
    ///   - connector: makes the ways to the hosts.
    /// - Throws: what is wrong with the inventory.
    package init(
        inventory: InventorySources,
        limit: String?,
        extraVariables: [String],
        connector: HostDirectory.Connector
    ) throws(DiagnosticsError) {
        work = try InspectedHost.all(
            inventory: inventory,
            limit: limit,
            extraVariables: extraVariables,
            connector: { ReadOnlyHost(connector($0)) }
        )
    }

    /// Asks all hosts.
    ///
    /// - Parameters:
    ///   - fanOut: how many hosts at a time.
    ///   - onEnd: is told of each as it comes in: whether it was reached, and whether it is usable so far.
    /// - Returns: one answer a host, in inventory order; none for those that were not begun before a cancellation.
    package func answers(_ fanOut: FanOut, onEnd: (Answer) async -> Void) async -> [Answer] {
        var looks = [Look?](repeating: nil, count: work.count)
        await fanOut.forEach(of: work) { inspected in
            let look = await Self.look(at: inspected)
            await inspected.host.close()
            return look
        } onEnd: { place, look in
            looks[place] = look
            await onEnd(look.answer)
        }
        let seen = looks.compactMap(\.self)
        let clocks = ClockSurvey(seen.compactMap(\.clock))
        let nodes = NodeSurvey(seen.compactMap { look in look.node.map { (name: look.answer.host, node: $0) } })
        return seen.map { look in
            var answer = look.answer
            if let problem = look.clock.flatMap(clocks.problem) { answer.problems.append(problem) }
            if let problem = look.node.flatMap(nodes.problem) { answer.problems.append(problem) }
            return answer
        }
    }

    /// A directory of data may be large, and a name may have to wait for others to be looked up.
    private static let timeout = Duration.seconds(120)

    private static func look(at inspected: InspectedHost) async -> Look {
        let host = inspected.host
        let script = HostCheckScript(inspected.settings, isDataSaid: inspected.isDataSaid)
        let arrival = ClockArrival()
        var command = RemoteCommand("the check", script: script.text, effect: .readOnly, timeout: timeout)
        command.onOutput = { _ in arrival.note() }
        let asked = Date().timeIntervalSince1970
        do {
            let result = try await host.run(command)
            var answer = Answer(host: host.name, isUsable: true)
            let report = script.read(result.output, into: &answer)
            let told = arrival.time ?? Date().timeIntervalSince1970
            answer.clockOffsetSeconds = report.clock.map { $0 - told }
            return Look(
                answer: answer,
                clock: report.clock.map { ClockReading(earliest: $0 - told, latest: $0 - asked) },
                node: report.node
            )
        } catch {
            return Look(answer: Answer(host: host.name, isUsable: false, problems: [HostProblem(error)]))
        }
    }
}

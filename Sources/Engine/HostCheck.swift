// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote

/// Whether a host can be worked on: reached, elevated, with the tools that the actions need.
package enum HostCheck {
    /// What one host answered.
    package struct Answer: Sendable, Codable {
        package struct Problem: Sendable, Codable {
            package var message: String
            package var remedy: String?
        }

        package var host: String
        /// Whether a run could begin on it.
        package var isUsable: Bool
        /// The user that commands run as.
        package var user: String?
        package var etcd: String?
        package var etcdctl: String?
        /// Free space where backups go.
        package var freeSpace: String?
        /// The node's clock minus the controller's, in seconds; the way there and back is part of it.
        package var clockOffsetSeconds: Double?
        package var problems: [Problem]
    }

    /// Programs that the actions run on a node.
    ///
    /// All are in a Debian base system, but for curl and etcdctl.
    static let tools = ["curl", "sha256sum", "flock", "timeout", "find", "cp", "awk", "grep", "sed"]

    /// Asks all hosts of an inventory, at most 32 at a time.
    ///
    /// - Parameters:
    ///   - inventory: the sources, as `-i` names them.
    ///   - limit: a host pattern; `nil` for all hosts.
    ///   - extraVariables: the arguments of `-e`.
    ///   - connector: makes the ways to the hosts.
    /// - Returns: one answer a host, in inventory order.
    /// - Throws: what is wrong with the inventory.
    package static func all(
        inventory: InventorySources,
        limit: String?,
        extraVariables: [String],
        connector: HostDirectory.Connector
    ) async throws(DiagnosticsError) -> [Answer] {
        let work = try InspectedHost.all(
            inventory: inventory,
            limit: limit,
            extraVariables: extraVariables,
            connector: connector
        )
        return await answers(of: work)
    }

    private static func answers(
        of work: [InspectedHost]
    ) async -> [Answer] {
        await withTaskGroup(of: (Int, Answer).self) { group in
            var answers = [Answer?](repeating: nil, count: work.count)
            var next = 0
            func begin(_ index: Int) {
                group.addTask {
                    let host = work[index].host
                    let answer = await ask(host, work[index].settings)
                    await host.close()
                    return (index, answer)
                }
            }
            while next < min(32, work.count) {
                begin(next)
                next += 1
            }
            while let (index, answer) = await group.next() {
                answers[index] = answer
                if next < work.count {
                    begin(next)
                    next += 1
                }
            }
            return answers.compactMap(\.self)
        }
    }

    private static func ask(_ host: any RemoteHost, _ settings: EtcdSettings) async -> Answer {
        let command = RemoteCommand("look at the host", script: script(settings), effect: .readOnly)
        do {
            let result = try await host.run(command)
            return read(result, from: host.name, settings)
        } catch {
            return Answer(
                host: host.name,
                isUsable: false,
                problems: [.init(message: error.message, remedy: error.remedy)]
            )
        }
    }

    /// Prints `name=value` lines; a tool that is not there prints nothing.
    private static func script(_ settings: EtcdSettings) -> String {
        let etcdctl = ShellQuoting.quote(settings.etcdctl)
        let backups = ShellQuoting.quote(settings.backupDir)
        return """
            printf 'user=%s\\n' "$(id -un)"
            printf 'clock=%s\\n' "$(date +%s.%N)"
            for tool in \(tools.joined(separator: " ")); do
              command -v "$tool" >/dev/null 2>&1 || printf 'missing=%s\\n' "$tool"
            done
            printf 'etcd=%s\\n' "$(etcd --version 2>/dev/null | sed -n 's/^etcd Version: *//p')"
            printf 'etcdctl=%s\\n' "$(ETCDCTL_API=3 \(etcdctl) version 2>/dev/null | sed -n 's/^etcdctl version: *//p')"
            ETCDCTL_API=3 \(etcdctl) migrate --help >/dev/null 2>&1 && printf 'migrate=yes\\n'
            dir=\(backups); while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
            printf 'free=%s\\n' "$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')"
            """
    }

    private static func read(_ result: CommandResult, from host: String, _ settings: EtcdSettings) -> Answer {
        var values: [String: [String]] = [:]
        for line in result.output.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
            if parts.count == 2 { values[parts[0], default: []].append(parts[1]) }
        }
        var problems: [Answer.Problem] = []
        for tool in values["missing"] ?? [] {
            problems.append(.init(message: "\(tool) is not installed", remedy: "install it on the node: \(tool)"))
        }
        let etcdctl = values["etcdctl"]?.first
        if etcdctl == nil {
            problems.append(
                .init(
                    message: "no etcdctl (\(settings.etcdctl))",
                    remedy: "install etcd-client, or set the variable etcdctl to its path"
                )
            )
        }
        let isUsable = problems.isEmpty
        if etcdctl != nil, values["migrate"] == nil {
            problems.append(
                .init(
                    message: "etcdctl \(etcdctl ?? "") has no migrate command",
                    remedy: "a migration needs etcdctl 3.0.14 to 3.4 on the node; set the variable etcdctl to its path"
                )
            )
        }
        let free = values["free"]?.first.flatMap(Int.init).map { $0 * 1024 }
        return Answer(
            host: host,
            isUsable: isUsable,
            user: values["user"]?.first,
            etcd: values["etcd"]?.first,
            etcdctl: etcdctl,
            freeSpace: free.map { Int64($0).formatted(.byteCount(style: .binary)) },
            clockOffsetSeconds: values["clock"]?.first.flatMap(Double.init).map { $0 - Date().timeIntervalSince1970 },
            problems: problems
        )
    }
}

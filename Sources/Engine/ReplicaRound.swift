// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Remote

/// What the nodes say of runs, asked side by side in one round.
package struct ReplicaRound: Sendable {
    /// One file of one node.
    package struct Finding: Sendable {
        package var host: String
        /// The file on the node.
        package var path: String
        package var content: Content

        package init(host: String, path: String, content: Content) {
            self.host = host
            self.path = path
            self.content = content
        }
    }

    package enum Content: Sendable {
        /// Of a run that is open as far as this node knows.
        case replica(RunReplica)
        /// Of the run that ended there last.
        case marker(RunMarker)
        /// Damaged, of a later version, or not a file.
        case unreadable(JournalError)
    }

    package var findings: [Finding]
    /// Nodes that could not be asked, each with why.
    package var unreachable: [RemoteError]

    package init(findings: [Finding], unreachable: [RemoteError]) {
        self.findings = findings
        self.unreachable = unreachable
    }

    /// More at a time would not be quicker, and would open more connections than a controller should.
    private static let width = 32

    /// Asks nodes, read-only.
    ///
    /// - Parameters:
    ///   - ways: the nodes.
    ///   - said: what some of them have said already; they are not asked again.
    /// - Returns: what they say.
    package static func ask(_ ways: [NodeWay], but said: [String: [UInt8]] = [:]) async -> ReplicaRound {
        await withTaskGroup(of: Answer.self) { group in
            var answers: [Answer] = []
            var waiting = ways.enumerated().makeIterator()
            for _ in 0..<width {
                if let (index, way) = waiting.next() {
                    group.addTask { await answer(of: way, index, said[way.name]) }
                }
            }
            while let answer = await group.next() {
                answers.append(answer)
                if let (index, way) = waiting.next() {
                    group.addTask { await Self.answer(of: way, index, said[way.name]) }
                }
            }
            answers.sort { $0.index < $1.index }
            return ReplicaRound(findings: answers.flatMap(\.findings), unreachable: answers.compactMap(\.error))
        }
    }

    /// What one node said, and its place among the nodes.
    private struct Answer: Sendable {
        var index: Int
        var findings: [Finding] = []
        var error: RemoteError?
    }

    /// A function of its own and a type of its own: as a tuple with a typed error, an optimized build of Swift 6.3 lost
    /// the index.
    private static func answer(of way: NodeWay, _ index: Int, _ said: [UInt8]?) async -> Answer {
        do throws(RemoteError) {
            if let findings = said.flatMap({ parse($0[...], of: way.name) }) {
                return Answer(index: index, findings: findings)
            }
            return Answer(index: index, findings: try await ask(way))
        } catch {
            return Answer(index: index, error: error)
        }
    }

    private static func ask(_ way: NodeWay) async throws(RemoteError) -> [Finding] {
        let command = RemoteCommand(
            "ask what run the node is in",
            script: ReplicaScript.reading(way.state),
            effect: .readOnly
        )
        var result: CommandResult
        do {
            result = try await way.host.run(command)
        } catch {
            guard error.code == .become, let plain = way.unprivileged else { throw error }
            result = try await plain.run(command)
        }
        guard result.exitCode == 0, let findings = parse(result.standardOutput[...], of: way.name) else {
            let said = result.errorOutput.split(separator: "\n").last.map(String.init) ?? "the answer is not whole"
            throw RemoteError(.unreachable, host: way.name, "\(command.label): \(said)")
        }
        return findings
    }

    /// Takes the answer apart; `nil` when it is not whole.
    private static func parse(_ answer: ArraySlice<UInt8>, of host: String) -> [Finding]? {
        var findings: [Finding] = []
        var rest = answer
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let words = String(decoding: rest[..<end], as: UTF8.self).split(separator: " ", maxSplits: 2)
            rest = rest[(end + 1)...]
            if words.count >= 2, words[0] == "odd" {
                let path = words.dropFirst().joined(separator: " ")
                let error = JournalError(.foreign, "it is no file, or too long for one of pawl's")
                findings.append(Finding(host: host, path: path, content: .unreadable(error)))
                continue
            }
            guard words.count == 3, words[0] == "file", let size = Int(words[1]), size >= 0, rest.count > size else {
                return nil
            }
            let path = String(words[2])
            findings.append(Finding(host: host, path: path, content: content(rest.prefix(size), path)))
            rest = rest.dropFirst(size + 1)
        }
        return rest.isEmpty ? findings : nil
    }

    private static func content(_ bytes: ArraySlice<UInt8>, _ path: String) -> Content {
        do throws(JournalError) {
            if path.hasSuffix("/last-run") { return .marker(try RunMarker(text: Array(bytes))) }
            return .replica(try ReplicaText.read(Array(bytes)))
        } catch {
            return .unreadable(error)
        }
    }
}

// MARK: - What it comes to

extension ReplicaRound {
    /// A replica and the node that has it.
    package struct Carried: Sendable {
        package var host: String
        package var replica: RunReplica
    }

    /// Markers by run.
    package var ended: [String: RunMarker] {
        var ended: [String: RunMarker] = [:]
        for finding in findings {
            guard case .marker(let marker) = finding.content else { continue }
            if let known = ended[marker.run], known.at > marker.at { continue }
            ended[marker.run] = marker
        }
        return ended
    }

    /// Replicas by run, of runs that no node knows to have ended.
    package var open: [String: [Carried]] {
        let ended = ended
        return carried.filter { ended[$0.key] == nil }
    }

    /// Replicas by run.
    var carried: [String: [Carried]] {
        var carried: [String: [Carried]] = [:]
        for finding in findings {
            guard case .replica(let replica) = finding.content else { continue }
            carried[replica.run.id, default: []].append(Carried(host: finding.host, replica: replica))
        }
        return carried
    }

    /// Files that say nothing, each with why.
    package var unreadable: [(host: String, path: String, error: JournalError)] {
        findings.compactMap { finding in
            guard case .unreadable(let error) = finding.content else { return nil }
            return (finding.host, finding.path, error)
        }
    }
}

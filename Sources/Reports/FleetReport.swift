// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Remote

/// What one command came to on many hosts, with hosts of equal answers told of together.
package struct FleetReport: Sendable {
    /// What some hosts have in common.
    private enum Finding {
        case ended(FleetCommand.Reply)
        case failed(RemoteError.Code, CommonError)
        case notBegun
    }

    private struct Group {
        var finding: Finding
        /// Places in the order of the inventory.
        var hosts: [Int]
    }

    private let hosts: [String]
    /// What hosts say alike is kept once.
    private var ended: [FleetCommand.Reply: [Int]] = [:]
    private var failed: [(code: RemoteError.Code, error: CommonError, hosts: [Int])] = []
    private var notBegun: [Int] = []

    /// - Parameter hosts: all hosts in inventory order.
    package init(hosts: [String]) { self.hosts = hosts }

    /// Takes the answer of the host at a place.
    package mutating func add(_ answer: FleetCommand.Answer, at place: Int) {
        switch answer.outcome {
        case .ended(let reply): ended[reply, default: []].append(place)
        case .failed(let error): add(error, at: place)
        case .notBegun: notBegun.append(place)
        }
    }

    private mutating func add(_ error: RemoteError, at place: Int) {
        let common = CommonError(error)
        for index in failed.indices where failed[index].code == error.code && failed[index].error.take(common) {
            failed[index].hosts.append(place)
            return
        }
        failed.append((error.code, common, [place]))
    }

    private var groups: [Group] {
        ended.map { Group(finding: .ended($0.key), hosts: $0.value.sorted()) }
            + failed.map { Group(finding: .failed($0.code, $0.error), hosts: $0.hosts.sorted()) }
            + (notBegun.isEmpty ? [] : [Group(finding: .notBegun, hosts: notBegun.sorted())])
    }

    /// Whether the command ended with 0 on every host.
    package var isGood: Bool { failed.isEmpty && notBegun.isEmpty && ended.keys.allSatisfy { $0.exitCode == 0 } }

    /// Whether it may have run anywhere.
    package var hasBegun: Bool { !ended.isEmpty || failed.contains { $0.code == .inDoubt } }

    // MARK: - For people

    /// Groups of equal answers, the biggest first, then what went wrong, then the counts.
    ///
    /// - Parameter style: the colours.
    /// - Returns: whole lines.
    package func text(style: ReportStyle = .plain) -> String {
        let sorted = groups.sorted { one, two in
            let (first, second) = (Self.rank(one.finding), Self.rank(two.finding))
            if first != second { return first < second }
            if one.hosts.count != two.hosts.count { return one.hosts.count > two.hosts.count }
            return one.hosts.lexicographicallyPrecedes(two.hosts)
        }
        let hint = failed.contains { $0.error.isRemedyFolded } ? CommonErrorHint.text + "\n\n" : ""
        return sorted.map { text($0, style) + "\n" }.joined() + hint + summary(sorted) + "\n"
    }

    private static func rank(_ finding: Finding) -> Int {
        switch finding {
        case .ended: 0
        case .failed(.inDoubt, _): 1
        case .failed: 2
        case .notBegun: 3
        }
    }

    private func text(_ group: Group, _ style: ReportStyle) -> String {
        let names = FoldedNames.text(group.hosts.map { hosts[$0] })
        let count = group.hosts.count == 1 ? "" : " (\(group.hosts.count) hosts)"
        func head(_ word: String, _ role: ReportStyle.Role) -> String {
            VisibleText.line(names) + count + ": " + style.paint(word, role) + "\n"
        }
        switch group.finding {
        case .ended(let reply):
            return head("exit code \(reply.exitCode)", reply.exitCode == 0 ? .ok : .failure)
                + Self.indented(reply.standardOutput) + Self.indented(reply.standardError, "stderr: ")
        case .failed(let code, let error):
            return head(code == .inDoubt ? "in doubt" : "not begun, \(Self.words(code))", .failure)
                + "  \(VisibleText.line(error.message))\n"
                + (error.remedy.map { "  → \(VisibleText.line($0))\n" } ?? "")
        case .notBegun:
            return head("not begun, interrupted", .warning)
        }
    }

    private static func indented(_ bytes: [UInt8], _ prefix: String = "") -> String {
        guard !bytes.isEmpty else { return "" }
        return VisibleText.lines(String(decoding: bytes, as: UTF8.self)).map { "  \(prefix)\($0)\n" }.joined()
    }

    private static func words(_ code: RemoteError.Code) -> String {
        switch code {
        case .unreachable: "not reached"
        case .hostKey: "host key"
        case .authentication: "not let in"
        case .shell: "no shell"
        case .become: "become refused"
        default: code.description
        }
    }

    private func summary(_ groups: [Group]) -> String {
        var good = 0
        var failed: [Int: Int] = [:]
        var others: [String: Int] = [:]
        for group in groups {
            switch group.finding {
            case .ended(let reply) where reply.exitCode == 0: good += group.hosts.count
            case .ended(let reply): failed[reply.exitCode, default: 0] += group.hosts.count
            case .failed(.inDoubt, _): others["in doubt", default: 0] += group.hosts.count
            case .failed(let code, _): others[Self.words(code), default: 0] += group.hosts.count
            case .notBegun: others["not begun", default: 0] += group.hosts.count
            }
        }
        var parts = ["\(good) ok"]
        if !failed.isEmpty {
            let codes = failed.sorted { $0.key < $1.key }.map { "\($0.value) with exit code \($0.key)" }
            parts.append("\(failed.values.reduce(0, +)) failed (\(codes.joined(separator: ", ")))")
        }
        parts += others.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
        return "\(hosts.count) \(hosts.count == 1 ? "host" : "hosts"): " + parts.joined(separator: ", ")
    }

    // MARK: - For programs

    /// The answer of one host as a JSON object, as docs/reference/commands.md says.
    ///
    /// - Parameter answer: what became of the command there.
    /// - Returns: one line with its line break.
    /// - Throws: what the encoder does.
    package static func line(_ answer: FleetCommand.Answer) throws -> String {
        var record = Record(host: answer.host, durationSeconds: answer.duration.seconds)
        switch answer.outcome {
        case .ended(let reply):
            record.exitCode = reply.exitCode
            record.stdout = String(decoding: reply.standardOutput, as: UTF8.self)
            record.stderr = String(decoding: reply.standardError, as: UTF8.self)
        case .failed(let error):
            record.error = .init(code: error.code.description, message: error.message, remedy: error.remedy)
        case .notBegun:
            record.error = .init(code: "interrupted", message: "interrupted before it was sent", remedy: nil)
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(record), as: UTF8.self) + "\n"
    }

    private struct Record: Encodable {
        struct Failure: Encodable {
            var code: String
            var message: String
            var remedy: String?
        }

        var host: String
        var durationSeconds: Double
        var exitCode: Int?
        var stdout: String?
        var stderr: String?
        var error: Failure?
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import RealNodes
import TestSupport

/// How one `pawl` ended, in the words of the table.
struct PawlRun: Sendable {
    var end: Controller.End

    var exitCode: Int { end.exitCode }
    /// Why it stopped, without the warnings.
    var reason: String {
        (end.report?.reason ?? end.stderr).split(separator: "\n").filter { !Self.isAside($0) }.joined(separator: "\n")
    }
    /// The checks of the preflight that refused, in the report or by another step beside it.
    var refusals: [String] {
        let texts = [reason] + end.events.filter { $0.status == "failed" }.compactMap(\.message)
        return Self.checks(in: texts.flatMap { $0.split(separator: "\n") }.filter { !Self.isAside($0) })
    }
    /// Those that only warned.
    var warnings: [String] {
        let texts = end.events.compactMap(\.message) + [end.report?.reason ?? ""]
        return Self.checks(in: texts.flatMap { $0.split(separator: "\n") }.filter(Self.isAside))
    }

    var words: String {
        switch exitCode {
        case 0: return "done and verified"
        case 4 where !refusals.isEmpty: return "refused: \(refusals.map { "[\($0)]" }.joined(separator: " "))"
        case 4: return "refused: \(line.replacing("error: nothing was changed; ", with: ""))"
        case 3:
            let place = end.report?.host.map { " on \($0)" } ?? ""
            return "halted at '\(end.report?.step ?? "?")'\(place): \(line)"
        default: return "ended with \(exitCode): \(BareProcedure.short(end.lastWords))"
        }
    }

    /// The first line of the reason, with the next one where it only announces that.
    private var line: String {
        let lines = reason.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
        let count = lines.first?.hasSuffix(":") == true ? 2 : 1
        return BareProcedure.short(lines.prefix(count).joined(separator: " "), 200)
    }

    private static func isAside(_ line: Substring) -> Bool {
        line.hasPrefix("- warning: ") || line.hasPrefix("warning: ") || line.contains("allowed by policy")
    }

    private static func checks(in lines: [Substring]) -> [String] {
        var found: [String] = []
        for line in lines {
            guard let match = line.firstMatch(of: #/\[(?:checks\.)?([a-z_0-9]+)\]$/#) else { continue }
            let name = String(match.1)
            if !found.contains(name) { found.append(name) }
        }
        return found
    }
}

extension Site {
    /// Runs the migration to its end, and meanwhile a closure that follows it.
    func pawl(
        _ more: [String] = [],
        playbook: String? = nil,
        meanwhile: @Sendable @escaping (Controller) async throws -> Void = { _ in }
    ) async throws -> PawlRun {
        let path = playbook.map { "\(bench.repository)/playbooks/\($0).yaml" }
        let arguments = bench.runArguments(playbook: path) + more.flatMap { ["-e", $0] }
        return PawlRun(end: try await Controller.run(arguments, on: bench, meanwhile: meanwhile))
    }

    /// Any other command over the journal of the run.
    func pawl(command: [String]) async throws -> PawlRun {
        let arguments = command + ["--state", "\(bench.directory)/state"]
        return PawlRun(end: try await Controller.run(arguments, on: bench))
    }

    /// What the comparison that knows nothing of pawl says; `nil` when all members are right.
    func comparison() async throws -> String? {
        let output = try await Program.run("\(bench.repository)/scripts/compare-v2-v3", [bench.lab.directory])
        return output.exitCode == 0 ? nil : "scripts/compare-v2-v3: \(output.stdout.suffix(300))\(output.stderr)"
    }

    // MARK: - What must be true

    /// Expects a refusal by one of the checks, or one that has these words, and every member untouched.
    func expectRefusal(
        by check: String? = nil,
        saying words: String? = nil,
        _ run: PawlRun,
        since before: ClusterLook,
        _ finding: inout Finding
    ) async throws {
        finding.expect(run.exitCode == 4, "exit code \(run.exitCode), not 4: \(run.end.lastWords)")
        if let check {
            finding.expect(run.refusals.contains(check), "[\(check)] is not among the refusals: \(run.reason)")
        }
        if let words { finding.expect(run.reason.contains(words), "it does not say '\(words)': \(run.reason)") }
        let now = try await ClusterLook.take(of: self)
        var untouched = true
        for (old, new) in zip(before.members, now.members) {
            let isSame = old.trace == new.trace && old.v2 == new.v2 && old.v3 == new.v3 && old.revision == new.revision
            finding.expect(isSame, "\(new.name) was touched: \(old.trace) \(new.trace)")
            untouched = untouched && isSame
        }
        finding.pawl = run.words + (untouched ? "; no member touched" : "; MEMBERS WERE TOUCHED")
    }

    /// Expects a run that came to its end, and a cluster in which v2 and v3 are one.
    func expectMigrated(_ run: PawlRun, _ finding: inout Finding) async throws {
        finding.expect(run.exitCode == 0, "exit code \(run.exitCode), not 0: \(run.end.lastWords)")
        let look = try await ClusterLook.take(of: self)
        if let difference = try await comparison() { finding.failures.append(difference) }
        finding.expect(look.isMigrated, look.words)
        finding.pawl = "\(run.words); \(look.words)"
    }

    /// Expects a halt that says why, and a rollback after which every member is as before.
    func expectHaltAndRollback(
        naming words: [String],
        _ run: PawlRun,
        _ finding: inout Finding
    ) async throws {
        finding.expect(run.exitCode == 3, "exit code \(run.exitCode), not 3: \(run.end.lastWords)")
        let told = run.reason + (run.end.report?.step ?? "")
        for word in words { finding.expect(told.contains(word), "the halt does not name \(word): \(told)") }
        let halted = try await ClusterLook.take(of: self)
        var text = run.words
        if halted.isUnmigrated {
            text += "; \(halted.words)"
        } else {
            let back = try await pawl(command: ["rollback", "--yes"])
            finding.expect(back.exitCode == 0, "rollback ended with \(back.exitCode): \(back.end.lastWords)")
            let look = try await ClusterLook.take(of: self)
            finding.expect(look.isUnmigrated, "after the rollback: \(look.words)")
            text += "; pawl rollback: \(look.words)"
        }
        finding.pawl = text
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Testing

@testable import Actions

/// What a playbook may say of preflight's checks, and where it is told that it may not.
struct PreflightPolicyTests {
    private func problems(_ checks: String) -> [String] {
        let text = "hosts: all\npreflight:\n  - etcd_ready:\n      checks:\n        \(checks)\nsteps: [pause: 1s]\n"
        do throws(DiagnosticsError) {
            _ = try PlaybookReader.read(text: text, path: "p.yaml", actions: ActionRegistry.schemas)
            return []
        } catch {
            return error.diagnostics.map(\.description)
        }
    }

    @Test func `an unknown check is refused with its place and a suggestion`() {
        let told = problems("snapshot_fil: warn")
        #expect(told.count == 1)
        #expect(told[0].hasPrefix("p.yaml:5:9: "), "\(told)")
        #expect(told[0].contains("'etcd_ready.checks' has no parameter 'snapshot_fil'"), "\(told)")
        #expect(told[0].contains("did you mean 'snapshot_file'?"), "\(told)")
    }

    @Test func `an unknown policy is refused with its place`() {
        let told = problems("leases: wran")
        #expect(told.first?.hasPrefix("p.yaml:5:17: ") == true, "\(told)")
        #expect(told.first?.contains("did you mean 'warn'?") == true, "\(told)")
    }

    @Test func `a check without which no proof holds cannot be weakened, and the reason is said`() {
        for check in PreflightCheck.inMapping where check.rule.necessity != nil {
            #expect(problems("\(check.name): refuse").isEmpty, "\(check.name)")
            let told = problems("\(check.name): warn")
            let column = 9 + check.name.count + 2
            #expect(told.first?.hasPrefix("p.yaml:5:\(column): ") == true, "\(told)")
            #expect(told.first?.contains("must be `refuse`, always, not 'warn'") == true, "\(told)")
            #expect(told.first?.contains(check.rule.necessity ?? "?") == true, "\(told)")
        }
        #expect(!problems("leases: skip").isEmpty)
    }

    @Test func `every check that can be weakened is what the playbook says`() throws {
        for check in PreflightCheck.inMapping where check.rule.necessity == nil {
            for policy in ["refuse", "warn", "allow"] {
                let action = try EtcdReady(Parameters(["checks": .map([check.name: .string(policy)])]))
                #expect(action.requirements.policy(of: check).rawValue == policy)
                let deviations = action.requirements.deviations.map(\.0)
                #expect(deviations == (check.rule.policy.rawValue == policy ? [] : [check]))
            }
        }
        let any = try EtcdReady(Parameters(["v3_store": .string("any")])).requirements
        #expect(any.policy(of: .v3Store) == .allow)
        #expect(any.policy(of: .leases) == .warn)
    }

    @Test func `findings are told worst first, and what is minor never refuses`() {
        var allowed = EtcdFinding(.hiddenKeys, "hidden")
        allowed.judge(by: .allow)
        let minor = EtcdFinding(.fingerprints, "moving", isMinor: true)
        let findings = [
            allowed, EtcdFinding(.snapshotFile, "bare"), EtcdFinding(.ttlKeys, "expiring"), minor,
            EtcdFinding(.membership, host: "n1", "stranger", why: "x", remedy: "y"),
        ]
        let sorted = EtcdFinding.worstFirst(findings)
        #expect(
            sorted.map(\.check) == [.membership, .ttlKeys, .fingerprints, .snapshotFile, .hiddenKeys]
        )
        #expect(sorted[0].description == "n1: stranger: x; y [membership]")
        #expect(sorted[1].description == "expiring [ttl_keys]")
        #expect(sorted[3].description == "bare [checks.snapshot_file]")
    }

    @Test func `the page of the design has a row for each check as it is`() throws {
        var root = URL(filePath: #filePath)
        for _ in 0..<3 { root.deleteLastPathComponent() }
        let page = try String(contentsOf: root.appending(path: "docs/design/preflight.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }.map(String.init)
        let expected = PreflightCheck.allCases.map { check -> String in
            let rule = check.rule
            let policy = rule.necessity == nil ? "`\(rule.policy.rawValue)`" : "always `refuse`"
            return "| `\(check.name)` | \(rule.what) | \(policy) | \(rule.why) | \(rule.remedy) |"
        }
        #expect(rows == expected, "the rows are to be:\n\(expected.joined(separator: "\n"))")
    }
}

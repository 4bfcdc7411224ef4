// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote

/// How the actions that change a node speak with it.
extension ActionContext {
    /// The host of the step.
    func requiredTarget() throws(ActionFailure) -> ActionTarget {
        guard let target else { throw ActionFailure("this step needs a host") }
        return target
    }

    /// Records a fact of the step's host.
    func record(_ name: String, _ value: String) async throws(ActionFailure) {
        try await facts.record("\(try requiredTarget().host.name):\(name)", value)
    }

    /// A fact of the step's host; an empty one was taken back and counts as none.
    func hostFact(_ name: String) async throws(ActionFailure) -> String? {
        let value = try await facts.fact("\(try requiredTarget().host.name):\(name)")
        return value?.isEmpty == true ? nil : value
    }

    /// What the preflight, or the first gate, recorded of the v2 keys.
    ///
    /// - Throws: where the preflight let keys with a TTL pass because they would be left out, and they are not.
    func migrationBaseline(noTTL: Bool, transformer: String? = nil) async throws(ActionFailure) -> MigrationBaseline {
        let expiring = try await number("baseline_ttl_keys")
        let policy = try await fact("policy.\(PreflightCheck.ttlKeys.name)")
        if !noTTL, let expiring, expiring > 0, policy.flatMap(TTLPolicy.init)?.leavesOut == true {
            throw ActionFailure(
                "ttl_keys is \(policy ?? "skip"), and this step would migrate \(expiring) keys with a TTL as permanent ones",
                remedy: "set no_ttl of the migration to true"
            )
        }
        return MigrationBaseline(
            maxIndex: try await number("baseline_max_index"),
            keys: try await number("baseline_keys"),
            ttlKeys: expiring,
            noTTL: noTTL,
            transformer: transformer
        )
    }

    /// A number that is a fact of the whole cluster.
    func number(_ name: String) async throws(ActionFailure) -> Int? {
        try await facts.fact(name).flatMap(Int.init)
    }
}

extension ActionTarget {
    /// Runs a script and reads what it told, whether it refused or not.
    func tell(_ command: RemoteCommand) async throws(ActionFailure) -> NodeReport {
        do {
            return NodeReport(try await host.run(command))
        } catch {
            throw ActionFailure(error)
        }
    }

    /// Runs a script that must not refuse.
    func report(_ command: RemoteCommand) async throws(ActionFailure) -> NodeReport {
        let report = try await tell(command)
        if let refusal = report.refusal {
            let log = report.all("log").map { "\n  | \($0)" }.joined()
            throw ActionFailure(refusal.message + log, remedy: refusal.remedy)
        }
        return report
    }
}

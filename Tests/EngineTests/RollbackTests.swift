// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Foundation
import Rollout
import Testing

@testable import Engine

@Suite struct RollbackTests {
    private static func serving(
        _ id: UInt64,
        revision: Int64 = 40,
        leader: UInt64 = 1
    ) -> Result<MemberHealth, EtcdProbeError> {
        let json =
            #"{"header":{"cluster_id":"9","member_id":"\#(id)","revision":"\#(revision)","raft_term":"2"},"leader":"\#(leader)","raftIndex":"7","raftTerm":"2","raftAppliedIndex":"7","version":"3.4.23"}"#
        guard let status = EndpointStatus(json: ArraySlice(Array(json.utf8))) else {
            return .failure(EtcdProbeError(.unparsable, host: "n\(id)", json))
        }
        return .success(MemberHealth(status: status, list: MemberList([]), isHealthy: true))
    }

    private static func failing(_ code: EtcdProbeError.Code) -> Result<MemberHealth, EtcdProbeError> {
        .failure(EtcdProbeError(code, host: "n", "no answer"))
    }

    private static let order = ["n3", "n2", "n1"]

    private func survey(
        changed: Set<String> = ["n1", "n2", "n3"],
        _ health: [String: Result<MemberHealth, EtcdProbeError>],
        facts: [String: String] = [:]
    ) -> RollbackSurvey {
        RollbackSurvey(order: Self.order, changed: changed, health: health, facts: facts)
    }

    @Test func `the member changed last comes first and the leader last`() {
        let all = ["n1": Self.serving(1), "n2": Self.serving(2), "n3": Self.serving(3)]
        #expect(survey(all).wanted == ["n2", "n3", "n1"])
        let other = all.mapValues { _ in Self.serving(1, leader: 2) }
        #expect(survey(other.merging(["n2": Self.serving(2, leader: 2)]) { $1 }).wanted == ["n1", "n3", "n2"])
    }

    @Test func `a member that is down comes before all others`() {
        let found = survey(["n1": Self.serving(1), "n2": Self.serving(2), "n3": Self.failing(.noAnswer)])
        #expect(found.wanted == ["n3", "n2", "n1"])
        #expect(found.down == ["n3"])
        #expect(found.unreachable.isEmpty)
    }

    @Test func `a member that was not changed, or is back already, is left alone`() {
        let health = ["n1": Self.serving(1), "n2": Self.serving(2, revision: 1), "n3": Self.serving(3)]
        #expect(survey(changed: ["n1", "n2"], health).wanted == ["n1"])
        #expect(survey(health, facts: ["n3:v3_revision": "40", "n2:v3_revision": "1"]).wanted == ["n1"])
    }

    @Test func `a down member that the run did not change is no reason to touch it`() {
        let found = survey(
            changed: ["n1"],
            ["n1": Self.serving(1), "n2": Self.failing(.noAnswer), "n3": Self.serving(3)]
        )
        #expect(found.wanted == ["n1"])
        #expect(found.down.isEmpty)
    }

    @Test func `a node that cannot be asked is named`() {
        let found = survey(["n1": Self.serving(1), "n2": Self.failing(.node)])
        #expect(found.unreachable.count == 2)
    }

    // MARK: - What is carried over

    private func step(_ id: String, _ effect: StepEffect, host: String) -> PlannedStep {
        PlannedStep(id: StepID(id), phase: .steps, host: host, name: id, action: "a", effect: effect, digest: "")
    }

    private func plan(_ hosts: [String], steps: [PlannedStep] = []) -> Plan {
        Plan(
            name: "p",
            hosts: hosts,
            serial: .hosts(1),
            onFailure: .halt,
            needsQuorum: true,
            stages: [],
            steps: steps,
            inputs: .init(inventory: "", playbook: "", variables: "", members: [:])
        )
    }

    @Test func `a rollback knows the backups, the baseline and who was changed`() {
        let before = plan(
            ["n1", "n2"],
            steps: [step("steps.3/n1", .once, host: "n1"), step("steps.3/n2", .once, host: "n2")]
        )
        var rollback = plan(["n2", "n1"])
        rollback.down = ["n2"]
        let carried = RollbackOrigin.carried(
            [
                "n1:backup_path": "/b/n1-r", "n1:migrated_revision": "40", "n2:migrated_revision": "",
                "gate_fingerprint": "f", "n1:member_id": "a", "n1:no_ttl": "true", "other": "x",
                "v3_users": #"["root"]"#,
            ],
            from: before,
            [HistoryEntry(step: StepID("steps.3/n1"), attempt: 1, kind: .intent)],
            to: rollback
        )
        #expect(
            carried == [
                "n1:backup_path": "/b/n1-r", "n1:\(RollbackFact.migratedRevision)": "40",
                RollbackFact.fingerprint: "f", "n1:member_id": "a", RollbackFact.leftTTLKeysOut: "yes",
                "n1:\(RollbackFact.changedData)": "yes", "n1:\(RollbackFact.isWanted)": "yes",
                "n2:\(RollbackFact.isWanted)": "yes", "n2:\(RollbackFact.wasDown)": "yes",
                RollbackFact.v3Users: #"["root"]"#,
            ]
        )
    }

    @Test func `a plan keeps who was down, and one that was written without it has nobody down`() throws {
        var rollback = plan(["n2", "n1"])
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let old = try encoder.encode(rollback)
        #expect(!String(decoding: old, as: UTF8.self).contains("down"))
        #expect(try JSONDecoder().decode(Plan.self, from: old).down.isEmpty)
        rollback.down = ["n2", "n1"]
        let new = try encoder.encode(rollback)
        #expect(String(decoding: new, as: UTF8.self).contains(#""down":["n1","n2"]"#))
        #expect(try JSONDecoder().decode(Plan.self, from: new) == rollback)
    }
}

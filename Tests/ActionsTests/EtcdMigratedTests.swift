// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Playbooks
import TestSupport
import Testing

@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd and etcdctl 3.4 on this machine"), .serialized)
struct EtcdMigratedTests {
    private func action(_ member: LiveMember) throws -> EtcdMigrated {
        try EtcdMigrated(Parameters(["data_dir": .string(member.data)]))
    }

    @Test func `a migrated member tells how far its log reached`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
            let evidence = try await action(member).perform(member.context("steps.4/n1"))
            let index = try #require(evidence.values["index"].flatMap(Int.init))
            #expect(await member.ledger.fact("n1:migrated_index") == String(index))
            #expect(evidence.values["keys"] == (await member.ledger.fact("n1:migrated_keys")))
            // The keys came through raft, one entry each; restarted, the member is at least as far.
            #expect(index > 40)
            try await member.control("start")
            let applied = try await member.text(
                "etcdctl --endpoints \(member.url) endpoint status -w json | jq '.[0].Status.raftAppliedIndex'"
            )
            #expect((Int(applied) ?? 0) >= index)
            let running = try await failure { try await action(member).perform(member.context("steps.4/n1")) }
            #expect(running.message.contains("etcd still runs"), "\(running)")
        }
    }

    @Test func `stores that differ, or a member that is not migrated, refuse the start`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            let before = try await action(member).perform(member.context("steps.4/n1"))
            #expect(before.summary.contains("not migrated"))
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
            var context = member.context("steps.4/n1")
            context.cluster.append(ActionTarget(host: LocalHost(name: "n2"), variables: [:]))
            let alone = try await failure { try await action(member).perform(context) }
            #expect(alone.message.contains("n2 is not migrated"), "\(alone)")
            let revision = try #require(await member.ledger.fact("n1:migrated_revision"))
            await member.ledger.record("n2:migrated_revision", revision)
            await member.ledger.record("n2:migrated_keys", "39")
            let differing = try await failure { try await action(member).perform(context) }
            #expect(differing.message.contains("not migrated to the same store"), "\(differing)")
            #expect(differing.message.contains("n2: revision \(revision), 39 keys"), "\(differing)")
        }
    }
}

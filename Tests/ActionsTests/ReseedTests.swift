// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

@testable import Actions

/// What the steps of a reseed know of each other.
@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd on this machine"), .serialized)
struct ReseedTests {
    /// A step on `n1`, beside a seed `n2` that is served by the same etcd.
    private static func context(_ member: LiveMember) -> ActionContext {
        let target = ActionTarget(host: member.host, variables: member.variables)
        let seed = ActionTarget(host: LocalHost(name: "n2", prelude: ""), variables: member.variables)
        return ActionContext(
            run: member.run,
            step: StepID("steps.5/n1"),
            attempt: 1,
            timeout: .seconds(20),
            target: target,
            cluster: [target, seed],
            completedHosts: [],
            facts: member.ledger,
            progress: { _ in }
        )
    }

    @Test func `old data is not put back while the new cluster serves, or may`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            await member.ledger.record(ReseedFact.seed, "n2")
            let step = try EtcdSetAside(Parameters(["data_dir": .string(member.data)]))
            let context = Self.context(member)
            do {
                _ = try await step.undo(context)
                Issue.record("the old data was put back")
            } catch let failure as ActionFailure {
                #expect(failure.message.contains("n2: its member serves"), "\(failure)")
            }
            try await member.control("stop")
            _ = try await step.undo(Self.context(member))
        }
    }

    @Test func `the revision of the migration is the seed's, the only one that was migrated`() async throws {
        try await LiveMember.with { member in
            await member.ledger.record("n2:migrated_revision", "7")
            let unfounded = try await Self.context(member).migratedRevision()
            #expect(unfounded == nil)
            await member.ledger.record(ReseedFact.seed, "n2")
            let founded = try await Self.context(member).migratedRevision()
            #expect(founded == 7)
            // The way back was gone.
            await member.ledger.record(ReseedFact.seed, "")
            let takenBack = try await Self.context(member).migratedRevision()
            #expect(takenBack == nil)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Actions

@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd and etcdctl 3.4 on this machine"), .serialized)
struct EtcdRollbackTests {
    private func rollback(_ member: LiveMember) throws -> EtcdRollback {
        try EtcdRollback(Parameters(["data_dir": .string(member.data)]))
    }

    /// Migrated, and stopped again by the run that takes it back.
    private func migrated(_ member: LiveMember, arguments: String = "") async throws -> LiveMember {
        try await member.prepare()
        _ = try await member.migrate().perform(member.context("steps.3/n1"))
        try await member.sh("printf '%s' '\(arguments)' >\(member.root)/args")
        try await member.control("start")
        var later = member
        later.run = "r2"
        return later
    }

    private func expectBack(_ member: LiveMember, extraKeys: Int = 0) async throws {
        try await member.control("start")
        #expect(try await member.v3Keys() == 0)
        let revision = try await member.text(
            "ETCDCTL_API=3 etcdctl --endpoints \(member.url) endpoint status -w json | jq '.[0].Status.header.revision'"
        )
        #expect(revision == "1")
        let keys = try await member.text(
            "curl -sf '\(member.url)/v2/keys/?recursive=true' | jq '[..|objects|select(has(\"value\"))]|length'"
        )
        #expect(Int(keys) == 40 + extraKeys)
        #expect(try await member.text("ls \(member.data)/member/snap | grep pawl") == "", "something was left behind")
    }

    @Test func `a member that was not started since goes back whole`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
            var later = member
            later.run = "r2"
            let context = later.context("steps.2/n1")
            guard case .notBegun = try await rollback(later).observe(context) else {
                Issue.record("not begun is not seen")
                return
            }
            let evidence = try await rollback(later).perform(context)
            #expect(evidence.values["restore"] == "full")
            guard case .done = try await rollback(later).observe(context) else {
                Issue.record("done is not seen")
                return
            }
            // Repeated, as by a resumed run that lost the answer, it finds that nothing is left to do.
            #expect(try await rollback(later).perform(context).values["restore"] == "nothing")
            try await expectBack(later)
        }
    }

    @Test func `a member that was started since gets its db back, and keeps what v2 was told`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member)
            try await later.sh("curl -sf -XPUT \(later.url)/v2/keys/later -d value=kept")
            try await later.control("stop")
            let evidence = try await rollback(later).perform(later.context("steps.2/n1"))
            #expect(evidence.values["restore"] == "db-only")
            try await expectBack(later, extraKeys: 1)
            #expect(try await later.v2Value("later") == "kept")
            guard case .done = try await rollback(later).observe(later.context("steps.2/n1")) else {
                Issue.record("a member that serves its old db is not seen as taken back")
                return
            }
        }
    }

    @Test func `a member with a newer snapshot gets its db back marked as current`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member, arguments: "--snapshot-count=5")
            for number in 1...12 {
                try await later.sh("curl -sf -XPUT \(later.url)/v2/keys/s\(number) -d value=kept")
            }
            try await later.control("stop")
            #expect(try await later.text("ls \(later.data)/member/snap | grep -c 'snap$'") != "0")
            let evidence = try await rollback(later).perform(later.context("steps.2/n1"))
            #expect(evidence.values["restore"] == "db-indexed")
            try await expectBack(later, extraKeys: 12)
            // A crash between the change and its note repeats the step.
            try await later.control("stop")
            try await later.sh("rm \(later.backups)/*/restored")
            #expect(try await rollback(later).perform(later.context("steps.2/n1")).values["restore"] == "db-indexed")
            try await expectBack(later, extraKeys: 12)
            // What is written from now on is there after the next start: the mark is not ahead of the log.
            try await later.sh("ETCDCTL_API=3 etcdctl --endpoints \(later.url) put new value")
            try await later.control("stop")
            try await later.control("start")
            #expect(try await later.v3Keys() == 1)
        }
    }

    @Test func `v3 writes that are given up do not come back from the log`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member)
            try await later.sh("ETCDCTL_API=3 etcdctl --endpoints \(later.url) put lost value")
            try await later.control("stop")
            await later.ledger.record(RollbackFact.v3Written, "yes")
            let evidence = try await rollback(later).perform(later.context("steps.2/n1"))
            #expect(evidence.values["restore"] == "db-indexed")
            try await expectBack(later)
        }
    }

    @Test func `an etcdctl that cannot mark the db changes nothing and the way by hand is said`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member, arguments: "--snapshot-count=5")
            for number in 1...12 { try await later.sh("curl -sf -XPUT \(later.url)/v2/keys/s\(number) -d value=kept") }
            try await later.control("stop")
            for script in ["exit 1", "echo finished transforming keys; exit 0", "echo no v2 keys to migrate"] {
                let broken = try await later.fakeEtcdctl(script)
                let before = try await later.sum(later.database)
                let error = try await failure { try await rollback(broken).perform(broken.context("steps.2/n1")) }
                #expect(error.message.contains("nothing was changed"), "\(error)")
                #expect(error.remedy?.contains("replace this one") == true, "\(error)")
                #expect(try await later.sum(later.database) == before)
                #expect(try await later.text("ls \(later.data)/member/snap | grep pawl") == "")
            }
        }
    }

    @Test func `a damaged backup is refused and the member is left as it is`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member)
            try await later.control("stop")
            let before = try await later.sum(later.database)
            try await later.sh(
                "for db in \(later.backups)/*/tree\(later.database); do printf X | dd of=$db bs=1 seek=9000 conv=notrunc; done"
            )
            let error = try await failure { try await rollback(later).perform(later.context("steps.2/n1")) }
            #expect(error.message.contains("not sound"), "\(error)")
            #expect(try await later.sum(later.database) == before)
        }
    }

    @Test func `a member is started again after a failure, but not on a db that was not read back`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member)
            try await later.control("stop")
            let context = later.context("steps.2/n1")
            let before = try await later.sum(later.database)
            try await later.sh("mkdir -p \(later.database).pawl-r2.d/member; : >\(later.database).pawl-r2.new")
            _ = try await rollback(later).undo(context)
            #expect(try await later.sum(later.database) == before)
            #expect(try await later.text("ls \(later.data)/member/snap | grep pawl") == "")
            try await later.sh("ln \(later.database) \(later.database).pawl-r2")
            let error = try await failure { try await rollback(later).undo(context) }
            #expect(error.message.contains("nobody has read it back"), "\(error)")
            // Going on does.
            #expect(try await rollback(later).perform(context).values["restore"] == "db-only")
            _ = try await rollback(later).undo(context)
        }
    }

    @Test func `a member that runs is refused`() async throws {
        try await LiveMember.with { member in
            let later = try await migrated(member)
            let error = try await failure { try await rollback(later).perform(later.context("steps.2/n1")) }
            #expect(error.message.contains("etcd runs"), "\(error)")
        }
    }

    @Test func `without a backup there is nothing to put back unless data was changed`() async throws {
        try await LiveMember.with { member in
            let context = member.context("steps.2/n1")
            #expect(try await rollback(member).perform(context).summary.contains("nothing to put back"))
            await member.ledger.record("n1:\(RollbackFact.changedData)", "yes")
            let error = try await failure { try await rollback(member).perform(context) }
            #expect(error.message.contains("no backup of it is known"), "\(error)")
        }
    }

    @Test(
        arguments: [
            (1, 1, nil, nil), (1, 1, 40, nil), (40, 1, 40, nil), (42, 1, 40, 40), (3, 1, 40, 1), (2, 1, nil, 1),
            (9, 9, 12, nil), (11, 9, 12, 9),
        ] as [(Int64, Int64, Int64?, Int64?)]
    )
    func `v3 was written to when its revision is neither that of before nor that of the migration`(
        revision: Int64,
        before: Int64,
        migrated: Int64?,
        expected: Int64?
    ) {
        #expect(V3Writes.written(revision, before: before, migrated: migrated) == expected)
    }

    @Test func `users are v3 writes when they were not there before the run`() {
        let before = V3Writes.before(["root", "a\nb"])
        #expect(V3Writes.changes(of: ["a\nb", "root"], since: before) == [])
        #expect(V3Writes.changes(of: [], since: V3Writes.before([])) == [])
        #expect(
            V3Writes.changes(of: ["root", "late"], since: before)
                == ["1 users were made in v3: late", "1 users were removed in v3: a\nb"]
        )
        // A run of an earlier version did not ask: none is taken for one that was there.
        #expect(V3Writes.changes(of: ["root"], since: nil) == ["1 users were made in v3: root"])
    }

    @Test func `the commands that replace a member are exact`() {
        let members = MemberList([
            ListedMember(id: EtcdID(0xA), name: "etcd1", peerURLs: ["http://10.0.0.1:2380"]),
            ListedMember(id: EtcdID(0xB), name: "etcd2", peerURLs: ["http://10.0.0.2:2380"]),
        ])
        let settings = EtcdSettings(variables: ["etcd_endpoint": .string("http://10.0.0.1:2379")])
        let json = #"{"header":{"cluster_id":"9","member_id":"10","revision":"1","raft_term":"2"},"leader":"10"}"#
        guard let status = EndpointStatus(json: ArraySlice(Array(json.utf8))) else {
            Issue.record("no status")
            return
        }
        let text = MemberReplacement.text(
            .init(
                host: "n2",
                settings: EtcdSettings(variables: [:]),
                lost: members.members[1],
                recordedID: "b",
                peer: EtcdNode(name: "n1", host: LocalHost(name: "n1"), settings: settings),
                answer: MemberHealth(status: status, list: members, isHealthy: true)
            )
        )
        for words in [
            "etcdctl --endpoints http://10.0.0.1:2379 member remove b",
            "(2) on n2: mv /var/lib/etcd/default /var/lib/etcd/default.removed",
            "member add etcd2 --peer-urls=http://10.0.0.2:2380",
            "ETCD_INITIAL_CLUSTER='etcd1=http://10.0.0.1:2380,etcd2=http://10.0.0.2:2380'",
        ] { #expect(text.contains(words), "\(words) is not in: \(text)") }
    }
}

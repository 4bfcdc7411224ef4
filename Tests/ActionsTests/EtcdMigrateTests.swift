// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Remote
import TestSupport
import Testing

@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd and etcdctl 3.4 on this machine"), .serialized)
struct EtcdMigrateTests {
    @Test func `a member goes through stop, backup, migration and start, and serves its keys in v3`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(300)
            let stopped = try await member.service("stopped").perform(member.context("steps.1/n1"))
            #expect(stopped.values["clean"] == "yes")
            let copied = try await member.backup().perform(member.context("steps.2/n1"))
            #expect(copied.values["reused"] == "no")
            let migrate = try member.migrate()
            guard case .notBegun = try await migrate.observe(member.context("steps.3/n1")) else {
                Issue.record("a migration that was not begun is not seen as such")
                return
            }
            let evidence = try await migrate.perform(member.context("steps.3/n1"))
            #expect(evidence.values["keys"] == "300")
            #expect(evidence.values["revision"] == (await member.ledger.fact("baseline_max_index")))
            guard case .done(let seen) = try await migrate.observe(member.context("steps.3/n1")) else {
                Issue.record("a finished migration is not seen as done")
                return
            }
            #expect(seen.values["keys"] == "300")
            _ = try await member.service("started").perform(member.context("steps.4/n1"))
            #expect(try await member.v3Keys() == 300)
            let big = try await member.text(
                "ETCDCTL_API=3 etcdctl --endpoints \(member.url) get /big --print-value-only | wc -c"
            )
            #expect(big == "100001")
            #expect(try await member.v2Value("utf8/%C3%BC%E2%82%AC") == "grün €")
            guard case .done(let running) = try await migrate.observe(member.context("steps.3/n1")) else {
                Issue.record("a migrated member that runs is not seen as done")
                return
            }
            #expect(running.summary.contains("etcd runs"))
        }
    }

    @Test(arguments: [
        ("exit code 1", "/usr/bin/etcdctl \"$@\"; exit 1", "exit code 1"),
        ("no closing line", "/usr/bin/etcdctl \"$@\" | grep -v finished; exit 0", "without its closing line"),
        ("noise", "/usr/bin/etcdctl \"$@\"; echo 'something is odd' >&2; exit 0", "complained"),
        ("a kill", "/usr/bin/etcdctl \"$@\" >/dev/null; kill -9 $$", "killed"),
        ("no end", "/usr/bin/etcdctl \"$@\"; exec sleep 600", "did not end in time"),
        ("waiting for the lock", "echo 'waiting for etcd to close and release its lock' >&2; exec sleep 600", "stale"),
        ("a lost key", "/usr/bin/etcdctl \"$@\" --transformer \"$0.short\"", "expected"),
    ])
    func `an etcdctl that ends badly fails the step, and the undo brings the db back`(
        _ name: String,
        script: String,
        message: String
    ) async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            let original = try await member.sum(member.database)
            let broken = try await member.fakeEtcdctl(script)
            if script.contains("short"), case .string(let path)? = broken.variables["etcdctl"] {
                try await member.sh("printf '#!/bin/sh\\ncat >/dev/null\\n' >\(path).short; chmod 755 \(path).short")
            }
            let migrate = try member.migrate()
            let error = try await failure {
                try await migrate.perform(broken.context("steps.3/n1", timeout: .seconds(8)))
            }
            #expect(error.message.contains(message), "\(error)")
            if name != "waiting for the lock" {
                guard case .inDoubt = try await migrate.observe(broken.context("steps.3/n1")) else {
                    Issue.record("a failed migration is not in doubt")
                    return
                }
            }
            _ = try await migrate.undo(broken.context("steps.3/n1"))
            #expect(try await member.sum(member.database) == original)
            #expect(try await member.text("ls \(member.data)/member/snap") == "db")
            guard case .notBegun = try await migrate.observe(member.context("steps.3/n1")) else {
                Issue.record("a migration that was taken back is not seen as not begun")
                return
            }
            _ = try await member.service("stopped").undo(member.context("steps.1/n1"))
            #expect(try await member.v2Value("k/1") == "value 1")
            #expect(try await member.v3Keys() == 0)
        }
    }

    @Test func `a migration is refused while etcd runs`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            try await member.control("start")
            let error = try await failure { try await member.migrate().perform(member.context("steps.3/n1")) }
            #expect(error.message.contains("is locked"), "\(error)")
            #expect(try await member.v3Keys() == 0)
            #expect(try await member.text("ls \(member.backups)/n1-r1") == "backup.json\nmanifest\ntree")
            let undo = try await failure { try await member.migrate().undo(member.context("steps.3/n1")) }
            #expect(undo.message.contains("etcd runs"))
        }
    }

    @Test func `a migration is refused when etcd was started after the backup`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            try await member.control("start")
            try await member.control("stop")
            let error = try await failure { try await member.migrate().perform(member.context("steps.3/n1")) }
            #expect(error.message.contains("was started after it"), "\(error)")
            // A new backup is taken beside the old one, and with it the migration is allowed.
            let again = try await member.backup().perform(member.context("steps.2/n1"))
            #expect(again.values["path"] == "\(member.backups)/n1-r1-2")
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
        }
    }

    /// As if the controller had died before it could record what was proven.
    private func forgetEnd(_ member: LiveMember) async {
        for fact in ["migrated_revision", "migrated_keys"] { await member.ledger.record("n1:\(fact)", "") }
    }

    private func startAndStopByHand(_ member: LiveMember) async throws {
        try await member.control("start")
        try await member.control("stop")
    }

    @Test func `a start and a stop by hand between a crash and the resume leave a migration in doubt`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            let migrate = try member.migrate()
            _ = try await migrate.perform(member.context("steps.3/n1"))
            await forgetEnd(member)
            guard case .done = try await migrate.observe(member.context("steps.3/n1")) else {
                Issue.record("not found done, though nothing happened since")
                return
            }
            await forgetEnd(member)
            try await startAndStopByHand(member)
            let found = try await migrate.observe(member.context("steps.3/n1"))
            #expect(found == .inDoubt("etcd was started since the backup, and no proven migration was recorded"))
            let refused = try await failure { try await migrate.perform(member.context("steps.3/n1", attempt: 2)) }
            #expect(refused.message.contains("etcd was started after it"))
            let restored = try await migrate.undo(member.context("steps.3/n1"))
            #expect(restored.values["restore"] == "db-only")
            #expect(try await member.sum(member.database) == restored.values["sha256"])
            _ = try await member.backup().perform(member.context("steps.2/n1", attempt: 2))
            let again = try await migrate.perform(member.context("steps.3/n1", attempt: 3))
            #expect(again.values["keys"] == "40")
        }
    }

    @Test func `a second attempt begins with the db of the backup`() async throws {
        try await LiveMember.with { other in
            try await other.control("start")
            try await other.sh("ETCDCTL_API=3 etcdctl --endpoints \(other.url) put /stray left")
            try await other.control("stop")
            try await LiveMember.with { member in
                try await member.prepare()
                let interrupted = try await member.fakeEtcdctl("cp \(other.database) \(member.database); kill -9 $$")
                _ = try await failure { try await member.migrate().perform(interrupted.context("steps.3/n1")) }
                await member.ledger.record("baseline_keys", "")
                let evidence = try await member.migrate().perform(member.context("steps.3/n1", attempt: 2))
                #expect(evidence.values["restored_first"] == "true")
                try await member.control("start")
                #expect(try await member.v3Keys() == 40)
                #expect(
                    try await member.text("ETCDCTL_API=3 etcdctl --endpoints \(member.url) get /stray").isEmpty
                )
            }
        }
    }

    @Test func `after a start without a new snapshot only the db goes back, and etcd keeps what it logged`()
        async throws
    {
        try await LiveMember.with { member in
            try await member.prepare()
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
            try await member.control("start")
            try await member.sh("curl -sf -XPUT \(member.url)/v2/keys/later -d value=kept")
            try await member.control("stop")
            let evidence = try await member.migrate().undo(member.context("steps.3/n1"))
            #expect(evidence.values["restore"] == "db-only")
            try await member.control("start")
            #expect(try await member.v3Keys() == 0)
            #expect(try await member.v2Value("later") == "kept")
        }
    }

    @Test func `a restore is refused when a newer snapshot exists`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
            try await member.sh("echo --snapshot-count=2 >\(member.root)/args")
            try await member.control("start")
            try await member.sh("for i in 1 2 3 4 5 6; do curl -sf -XPUT \(member.url)/v2/keys/x -d value=$i; done")
            try await member.control("stop")
            let before = try await member.sum(member.database)
            let error = try await failure { try await member.migrate().undo(member.context("steps.3/n1")) }
            #expect(error.remedy?.contains("add it anew") == true, "\(error)")
            #expect(try await member.sum(member.database) == before)
        }
    }

    @Test func `a restore is refused when the backup is damaged`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            _ = try await member.migrate().perform(member.context("steps.3/n1"))
            let before = try await member.sum(member.database)
            let saved = "\(member.backups)/n1-r1/tree\(member.database)"
            try await member.sh("printf x | dd of=\(saved) bs=1 seek=9000 conv=notrunc 2>/dev/null")
            let error = try await failure { try await member.migrate().undo(member.context("steps.3/n1")) }
            #expect(error.message.contains("is not sound"), "\(error)")
            #expect(try await member.sum(member.database) == before)
        }
    }

    @Test func `a snapshot that etcdctl set aside comes back with the restore`() async throws {
        try await LiveMember.with { member in
            try await member.sh("echo --snapshot-count=20 >\(member.root)/args")
            try await member.prepare()
            let broken = try await member.fakeEtcdctl(
                "s=$(ls \(member.data)/member/snap/*.snap | tail -n 1); /usr/bin/etcdctl \"$@\"; mv $s $s.broken; exit 0"
            )
            let error = try await failure { try await member.migrate().perform(broken.context("steps.3/n1")) }
            #expect(error.message.contains(".broken"), "\(error)")
            let evidence = try await member.migrate().undo(member.context("steps.3/n1"))
            #expect(evidence.values["restore"] == "full")
            #expect(try await member.text("ls \(member.data)/member/snap | grep -c broken") == "0")
            // With snapshots the db already held a consistent index, so it grows by the keys alone.
            let migrated = try await member.migrate().perform(member.context("steps.3/n1"))
            #expect(migrated.values["keys"] == "40")
        }
    }

    @Test func `keys that expire are left out with no_ttl, and the count says so`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(40)
            try await member.sh("curl -sf -XPUT \(member.url)/v2/keys/ttl -d value=x -d ttl=1000")
            await member.ledger.record("baseline_keys", "41")
            await member.ledger.record("baseline_ttl_keys", "1")
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            let evidence = try await member.migrate(noTTL: true).perform(member.context("steps.3/n1"))
            #expect(evidence.values["keys"] == "40")
        }
    }

    @Test func `an empty v2 store is done with no keys when the baseline says so, and refused otherwise`() async throws
    {
        try await LiveMember.with { member in
            try await member.control("start")
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            let error = try await failure { try await member.migrate().perform(member.context("steps.3/n1")) }
            #expect(error.message.contains("no v2 keys"), "\(error)")
            await member.ledger.record("baseline_keys", "0")
            let evidence = try await member.migrate().perform(member.context("steps.3/n1", attempt: 2))
            #expect(evidence.values["keys"] == "0")
        }
    }

    @Test(.enabled(if: LiveMember.isRoot, "changing users needs root"))
    func `a db that was absent belongs to the user of etcd afterwards`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(40)
            try await member.control("stop")
            try await member.sh("rm \(member.database); chmod 755 \(member.root); chown -R etcd: \(member.data)")
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            let refused = try await failure { try await member.migrate().perform(member.context("steps.3/n1")) }
            #expect(refused.message.contains("belongs to etcd"))
            var owned = member
            owned.variables["etcd_user"] = .string("etcd")
            let evidence = try await owned.migrate().perform(owned.context("steps.3/n1"))
            #expect(evidence.values["keys"] == "40")
            #expect(try await member.text("stat -c '%U:%G %a' \(member.database)") == "etcd:etcd 600")
            _ = try await owned.migrate().undo(owned.context("steps.3/n1"))
            #expect(try await member.text("ls \(member.data)/member/snap").isEmpty)
        }
    }

    @Test(.enabled(if: LiveMember.isRoot, "a small disk needs root to mount it"))
    func `a full disk fails the migration and the restore, and both can be done when there is room`() async throws {
        try await LiveMember.with { member in
            try await member.sh(
                "mkdir \(member.root)/disk && mount -t tmpfs -o size=200m,mode=700 none \(member.root)/disk && ln -s disk \(member.data)"
            )
            try await member.prepare(keys: 300)
            let original = try await member.sum(member.database)
            try await member.sh("cat /dev/zero >\(member.root)/disk/filler 2>/dev/null")
            let error = try await failure { try await member.migrate().perform(member.context("steps.3/n1")) }
            #expect(error.message.contains("no space left"), "\(error)")
            let undo = try await failure { try await member.migrate().undo(member.context("steps.3/n1")) }
            #expect(undo.message.contains("cannot write the db back"), "\(undo)")
            try await member.sh("rm \(member.root)/disk/filler")
            _ = try await member.migrate().undo(member.context("steps.3/n1"))
            #expect(try await member.sum(member.database) == original)
            let evidence = try await member.migrate().perform(member.context("steps.3/n1", attempt: 2))
            #expect(evidence.values["keys"] == "300")
        }
    }

    @Test func `a WAL in a directory of its own is backed up and migrated`() async throws {
        try await LiveMember.with(wal: true) { member in
            try await member.control("start")
            try await member.fill(40)
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            let wal = "\(member.root)/wal"
            _ = try await member.backup(wal: wal).perform(member.context("steps.2/n1"))
            let evidence = try await member.migrate(wal: wal).perform(member.context("steps.3/n1"))
            #expect(evidence.values["keys"] == "40")
            let undone = try await member.migrate(wal: wal).undo(member.context("steps.3/n1"))
            #expect(undone.values["restore"] == "full")
        }
    }
}

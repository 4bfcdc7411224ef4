// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd on this machine"), .serialized)
struct BackupTests {
    @Test func `a backup holds the same bytes, modes and owners, and describes itself`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            let path = "\(member.backups)/n1-r1"
            #expect(try await member.sh("diff -r \(member.data) \(path)/tree\(member.data)").exitCode == 0)
            #expect(try await member.text("stat -c %a \(path)") == "700")
            let description = try #require(
                ColdBackup.description(parsing: try await member.text("cat \(path)/backup.json"))
            )
            #expect(description.run == "r1" && description.host == "n1" && description.sources == [member.data])
            #expect(try await description.manifestSHA256 == member.sum("\(path)/manifest"))
            let manifest = try ColdBackupManifest(parsing: try await member.sh("cat \(path)/manifest").output)
            #expect(manifest.entries.filter { $0.kind == .file }.count == description.files)
            #expect(manifest.entries.contains { "/\($0.path)" == member.database && $0.mode == "600" })
            let report = NodeReport(
                try await member.host.run(ColdBackup(path: path).verifyCommand(timeout: .seconds(30)))
            )
            #expect(report.refusal == nil && report["manifest"] == description.manifestSHA256)
        }
    }

    @Test func `a whole backup of the run is not taken twice, and a partial one is redone`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            let again = try await member.backup().perform(member.context("steps.2/n1", attempt: 2))
            #expect(again.values["reused"] == "yes")
            try await member.sh(
                "mv \(member.backups)/n1-r1 \(member.backups)/n1-r1.partial; rm \(member.backups)/n1-r1.partial/manifest"
            )
            guard case .notBegun = try await member.backup().observe(member.context("steps.2/n1")) else {
                Issue.record("a partial backup is taken for a whole one")
                return
            }
            let redone = try await member.backup().perform(member.context("steps.2/n1", attempt: 3))
            #expect(redone.values["reused"] == "no")
            guard case .done = try await member.backup().observe(member.context("steps.2/n1")) else {
                Issue.record("a whole backup is not found")
                return
            }
            #expect(try await member.text("ls \(member.backups)") == "n1-r1")
        }
    }

    @Test func `a backup is not found done when etcd wrote after it, unless something was built on it`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            func finding() async throws -> Observation {
                try await member.backup().observe(member.context("steps.2/n1"))
            }
            try await member.control("start")
            // Behind a start that is the play's own, the backup stays what it was.
            guard case .done = try await finding() else { Issue.record("etcd runs again"); return }
            try await member.control("stop")
            guard case .notBegun(let why) = try await finding() else { Issue.record("it is outdated"); return }
            #expect(why.contains("etcd wrote to its data after the backup \(member.backups)/n1-r1"))
            try await member.sh("echo >\(member.backups)/n1-r1/migration")
            guard case .done = try await finding() else { Issue.record("it was migrated on"); return }
            try await member.sh("rm \(member.backups)/n1-r1/migration")
            let fresh = try await member.backup().perform(member.context("steps.2/n1", attempt: 2))
            #expect(fresh.values["path"] == "\(member.backups)/n1-r1-2")
            guard case .done = try await finding() else { Issue.record("the new one is up to date"); return }
        }
    }

    @Test func `a flipped byte in a backup is found`() async throws {
        try await LiveMember.with { member in
            try await member.prepare()
            let path = "\(member.backups)/n1-r1"
            let saved = "\(path)/tree\(member.database)"
            try await member.sh("printf x | dd of=\(saved) bs=1 seek=9000 conv=notrunc 2>/dev/null")
            let report = NodeReport(
                try await member.host.run(ColdBackup(path: path).verifyCommand(timeout: .seconds(30)))
            )
            #expect(report.refusal?.message.contains("db: FAILED") == true, "\(report)")
            // It is not used again either: a sound one is taken beside it.
            let again = try await member.backup().perform(member.context("steps.2/n1", attempt: 2))
            #expect(again.values["path"] == "\(path)-2")
        }
    }

    @Test func `a copy that reads back otherwise is no backup`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(20)
            try await member.control("stop")
            try await member.sh(
                "mkdir \(member.root)/bin; cat >\(member.root)/bin/cp; chmod 755 \(member.root)/bin/cp",
                input: """
                    #!/bin/sh
                    /bin/cp "$@" || exit
                    for last; do :; done
                    printf x | dd of="$last/member/snap/db" bs=1 seek=9000 conv=notrunc 2>/dev/null
                    """
            )
            var bad = member
            bad.host = LocalHost(name: "n1", prelude: "PATH=\(member.root)/bin:$PATH\n")
            let error = try await failure { try await bad.backup().perform(bad.context("steps.2/n1")) }
            #expect(error.message.contains("read back"), "\(error)")
            #expect(try await member.text("ls \(member.backups)").isEmpty)
        }
    }

    @Test func `a running member is not backed up`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            let error = try await failure { try await member.backup().perform(member.context("steps.2/n1")) }
            #expect(error.message.contains("is locked"), "\(error)")
            #expect(try await member.sh("test -e \(member.backups)/n1-r1").exitCode == 1)
        }
    }

    @Test func `a file that is open below the source is seen, whoever has it open`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.control("stop")
            let wal = try await member.text("ls \(member.data)/member/wal/*.wal")
            var reading = member
            reading.host = LocalHost(name: "n1", prelude: "exec 8<\(wal)\n")
            let error = try await failure { try await reading.backup().perform(reading.context("steps.2/n1")) }
            #expect(error.message.contains(".wal open"), "\(error)")
        }
    }

    @Test func `a backup directory inside the source is refused, and the other way round`() async throws {
        try await LiveMember.with { member in
            try await member.sh("mkdir -p \(member.data)/member/snap; ln -s \(member.data)/member \(member.root)/link")
            for to in ["\(member.data)", "\(member.data)/backups", "\(member.root)/link/b", "\(member.root)"] {
                let backup = try Backup(Parameters(["source": .string(member.data), "to": .string(to)]))
                let error = try await failure { try await backup.perform(member.context("steps.2/n1")) }
                #expect(error.message.contains("inside"), "\(to): \(error)")
            }
            #expect(try await member.text("find \(member.data) | wc -l") == "3")
        }
    }

    @Test func `a link that leads out of the source is refused`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.control("stop")
            try await member.sh("cd \(member.data)/member && mv wal \(member.root)/wal && ln -s \(member.root)/wal wal")
            let error = try await failure { try await member.backup().perform(member.context("steps.2/n1")) }
            #expect(error.message.contains("leads out of"), "\(error)")
            let evidence = try await member.backup(wal: "\(member.root)/wal").perform(member.context("steps.2/n1"))
            #expect(evidence.values["reused"] == "no")
        }
    }

    @Test(
        .enabled(if: LiveMember.isRoot, "a small disk needs root to mount it"),
        arguments: ["size=1m", "size=200m,nr_inodes=9"]
    )
    func `a full disk leaves no half of a backup`(_ options: String) async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.control("stop")
            try await member.sh("mkdir \(member.root)/disk && mount -t tmpfs -o \(options) none \(member.root)/disk")
            let backup = try Backup(
                Parameters(["source": .string(member.data), "to": .string("\(member.root)/disk/b")])
            )
            let error = try await failure { try await backup.perform(member.context("steps.2/n1")) }
            #expect(error.message.contains("disk full at") && error.message.contains("needs"), "\(error)")
            #expect(try await member.text("ls \(member.root)/disk/b").isEmpty)
        }
    }

    @Test func `a path that is not absolute is refused before anything is contacted`() {
        #expect(throws: ActionFailure.self) {
            try Backup(Parameters(["source": .string("data"), "to": .string("/b")]))
        }
        #expect(throws: ActionFailure.self) { try Backup(Parameters(["source": .string("/"), "to": .string("/b")])) }
    }
}

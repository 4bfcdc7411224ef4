// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

/// What is copied before the stop, and taken over by the backup after it.
@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd on this machine"), .serialized)
struct BackupAheadTests {
    private static func ahead(_ member: LiveMember) throws -> BackupAheadAction {
        try BackupAheadAction(Parameters(["source": .string(member.data), "to": .string(member.backups)]))
    }

    /// A running member with a sealed snapshot, at rest for long enough, and a copy of it ahead.
    private static func with(_ body: (LiveMember) async throws -> Void) async throws {
        try await LiveMember.with { member in
            try await member.sh("echo --snapshot-count=50 >\(member.root)/args")
            try await member.control("start")
            try await member.fill(120)
            try await member.sh("until ls \(member.data)/member/snap/*.snap >/dev/null 2>&1; do sleep 0.05; done")
            try await restful(member)
            let evidence = try await ahead(member).perform(member.context("prepare.2/n1"))
            #expect(evidence.values["files"].flatMap(Int.init).map { $0 > 1 } == true, "\(evidence)")
            guard case .done = try await ahead(member).observe(member.context("prepare.2/n1")) else {
                Issue.record("the copy is not found")
                return
            }
            try await body(member)
        }
    }

    /// Waits until the newest snapshot counts as at rest.
    private static func restful(_ member: LiveMember) async throws {
        try await member.sh(
            "until [ -z \"$(find \(member.data)/member/snap -name '*.snap' -newerct '2 seconds ago')\" ]; do sleep 0.1; done"
        )
    }

    private static func expectWhole(_ member: LiveMember) async throws {
        let path = "\(member.backups)/n1-r1"
        let difference = try await member.sh("diff -r \(member.data) \(path)/tree\(member.data)")
        #expect(difference.exitCode == 0, "\(difference.output)")
        #expect(try await member.text("ls -A \(member.backups)") == "n1-r1")
        #expect(try await member.text("ls -A \(path)") == "backup.json\nmanifest\ntree")
        let attributes = "find . -printf '%y %m %U %G %s %P\\n' | sort"
        #expect(
            try await member.text("cd \(member.data) && \(attributes)")
                == member.text("cd \(path)/tree\(member.data) && \(attributes)")
        )
        let report = NodeReport(
            try await member.host.run(ColdBackup(path: path).verifyCommand(timeout: .seconds(30)))
        )
        #expect(report.refusal == nil, "\(report.refusal?.message ?? "")")
    }

    /// The inodes of a copy ahead, or of the backup that took it over.
    private static func inodes(_ member: LiveMember, _ directory: String) async throws -> [Substring] {
        try await member.text(
            "cd \(member.backups)/\(directory)/tree\(member.data)/member && stat -c '%i %n' snap/*.snap wal/*.wal"
        )
        .split(separator: "\n")
    }

    @Test func `the backup takes it over, and copies what was written since`() async throws {
        try await Self.with { member in
            let before = try await Self.inodes(member, "n1-r1.ahead")
            try await member.sh("curl -sf -o /dev/null -XPUT -d value=late \(member.url)/v2/keys/late")
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            try await Self.expectWhole(member)
            // No file is copied whole, also not the segment of the WAL that was written to.
            let after = try await Self.inodes(member, "n1-r1")
            #expect(!before.isEmpty && before.allSatisfy(after.contains), "\(before) \(after)")
        }
    }

    /// It is as large as all else of a small member, and goes when etcd stops.
    @Test func `the segment that etcd holds ready is not read, and is backed up where it stayed`() async throws {
        try await Self.with { member in
            let held = try await member.text("cd \(member.data)/member/wal && ls *.tmp")
            #expect(held == "0.tmp")
            let read = try await member.text("cut -d / -f 2- \(member.backups)/n1-r1.ahead/ahead")
            #expect(read.contains(".wal") || read.contains(".snap"), "\(read)")
            #expect(!read.contains(".tmp"), "\(read)")
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            try await member.sh("echo stayed >\(member.data)/member/wal/0.tmp")
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            try await Self.expectWhole(member)
        }
    }

    @Test func `a copy that was changed where etcd did not write is patched there, too`() async throws {
        try await Self.with { member in
            try await member.sh(
                """
                wal=$(ls \(member.backups)/n1-r1.ahead/tree\(member.data)/member/wal/*.wal | tail -n 1)
                printf X | dd of=$wal bs=1 seek=9 conv=notrunc status=none
                curl -sf -o /dev/null -XPUT -d value=late \(member.url)/v2/keys/late
                """
            )
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            try await Self.expectWhole(member)
        }
    }

    @Test func `a patch that reads back otherwise is no copy, and the file is copied whole`() async throws {
        try await Self.with { member in
            try await member.sh(
                "mkdir \(member.root)/bin; cat >\(member.root)/bin/dd; chmod 755 \(member.root)/bin/dd",
                input: """
                    #!/bin/sh
                    /bin/dd "$@" || exit
                    case "$*" in *oflag=seek_bytes*) ;; *) exit 0 ;; esac
                    for word; do case $word in of=*) file=$word ;; seek=*) at=${word#seek=} ;; esac; done
                    printf X | /bin/dd "$file" bs=1 seek=$((at + 7)) conv=notrunc status=none
                    touch \(member.root)/spoilt
                    """
            )
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            var bad = member
            bad.host = LocalHost(name: "n1", prelude: "PATH=\(member.root)/bin:$PATH\n")
            _ = try await bad.backup().perform(bad.context("steps.2/n1"))
            #expect(try await member.sh("test -e \(member.root)/spoilt").exitCode == 0)
            try await Self.expectWhole(member)
        }
    }

    @Test func `a file that was changed is copied again, also with the size and time that it had`() async throws {
        try await Self.with { member in
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            try await member.sh(
                """
                snap=$(ls \(member.data)/member/snap/*.snap | head -n 1); cp -p $snap \(member.root)/then
                printf X | dd of=$snap bs=1 seek=9 conv=notrunc status=none; touch -r \(member.root)/then $snap
                """
            )
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            try await Self.expectWhole(member)
        }
    }

    @Test func `files that came, went, grew and shrank are in the backup as they are now`() async throws {
        try await Self.with { member in
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            try await member.sh(
                """
                cd \(member.data)/member; mkdir new; echo new >'new/a file'; ln -s ../snap/db new/link
                mv snap/db snap/db.other; head -c 9000 /dev/urandom >snap/db; rm wal/*.tmp
                wal=$(ls wal/*.wal | head -n 1); head -c 70000 /dev/urandom | dd of=$wal bs=1000 seek=17 conv=notrunc status=none
                """
            )
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            try await Self.expectWhole(member)
        }
    }

    @Test func `what is not used is removed, and a backup without it is whole`() async throws {
        try await Self.with { member in
            _ = try await Self.ahead(member).undo(member.context("prepare.2/n1"))
            #expect(try await member.text("ls -A \(member.backups)").isEmpty)
            guard case .notBegun = try await Self.ahead(member).observe(member.context("prepare.2/n1")) else {
                Issue.record("it is found although it is gone")
                return
            }
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            try await Self.expectWhole(member)
        }
    }

    @Test(.enabled(if: LiveMember.isRoot, "needs a file system of its own"))
    func `too little room refuses before anything is stopped`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(40)
            try await member.sh("mkdir \(member.root)/disk && mount -t tmpfs -o size=1M pawl \(member.root)/disk")
            let action = try BackupAheadAction(
                Parameters(["source": .string(member.data), "to": .string("\(member.root)/disk/backups")])
            )
            let error = try await failure { try await action.perform(member.context("prepare.2/n1")) }
            #expect(error.message.contains("disk full at \(member.root)/disk/backups"), "\(error)")
            #expect(try await member.text("ls -A \(member.root)/disk/backups").isEmpty)
        }
    }
}

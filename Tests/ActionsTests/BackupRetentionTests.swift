// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Foundation
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Actions

@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd on this machine"), .serialized)
struct BackupRetentionTests {
    private func backup(_ member: LiveMember, retain: Int) throws -> Backup {
        try Backup(
            Parameters(["source": .string(member.data), "to": .string(member.backups), "retain": .int(retain)])
        )
    }

    /// Takes a backup for a run, as if it were this old.
    private func take(_ run: String, _ member: LiveMember, retain: Int = 0) async throws -> [String] {
        var member = member
        member.run = run
        let evidence = try await backup(member, retain: retain).perform(member.context("steps.2/n1"))
        return (evidence.values["removed"] ?? "").split(separator: " ").map { String($0.suffix(2)) }
    }

    private func kept(_ member: LiveMember) async throws -> [String] {
        try await member.text("ls \(member.backups)").split(separator: "\n").map(String.init)
    }

    /// A member that is stopped, with backups of the runs r1 to r4, the oldest first.
    private func withBackups(_ body: (LiveMember) async throws -> Void) async throws {
        try await LiveMember.with { member in
            try await member.sh("mkdir -p \(member.data)/member/snap && echo db >\(member.database)")
            for run in ["r1", "r2", "r3", "r4"] {
                _ = try await take(run, member)
                let json = "\(member.backups)/n1-\(run)/backup.json"
                try await member.sh(
                    "sed -i 's/\"created\":\"[^\"]*\"/\"created\":\"2020-01-0\(run.suffix(1))T00:00:00Z\"/' \(json)"
                )
            }
            try await body(member)
        }
    }

    @Test func `the newest are kept and the others go when the new one is complete`() async throws {
        try await withBackups { member in
            let removed = try await take("r5", member, retain: 3)
            #expect(removed == ["r2", "r1"])
            let left = try await kept(member)
            #expect(left == ["n1-r3", "n1-r4", "n1-r5"])
        }
    }

    @Test func `without retention nothing is removed`() async throws {
        try await withBackups { member in
            let removed = try await take("r5", member)
            #expect(removed == [])
            let left = try await kept(member)
            #expect(left.count == 5)
        }
    }

    @Test func `what an open run or a migration in doubt needs is kept`() async throws {
        try await withBackups { member in
            await member.ledger.record(Backup.openRuns, "r1 r9")
            try await member.sh("echo 'begun 1' >\(member.backups)/n1-r2/migration")
            try await member.sh("printf 'begun 1\\nfinished 1 2 3\\n' >\(member.backups)/n1-r3/migration")
            let removed = try await take("r5", member, retain: 1)
            #expect(removed == ["r4", "r3"])
            let left = try await kept(member)
            #expect(left == ["n1-r1", "n1-r2", "n1-r5"])
        }
    }

    @Test func `backups of other hosts, damaged ones and what is none stay`() async throws {
        try await withBackups { member in
            let dir = member.backups
            try await member.sh(
                "sed -i 's/\"host\":\"n1\"/\"host\":\"n1-b\"/' \(dir)/n1-r1/backup.json; echo x >>\(dir)/n1-r2/manifest"
            )
            try await member.sh("mkdir \(dir)/n1-notes; ln -s \(dir)/n1-r3 \(dir)/n1-link")
            let removed = try await take("r5", member, retain: 1)
            #expect(removed == ["r4", "r3"])
            let left = try await kept(member)
            #expect(left == ["n1-link", "n1-notes", "n1-r1", "n1-r2", "n1-r5"])
        }
    }

    @Test func `an unfinished copy goes when nothing was written to it for a week`() async throws {
        try await withBackups { member in
            let dir = member.backups
            try await member.sh(
                "mkdir -p \(dir)/n1-r7.partial/tree \(dir)/n1-r8.partial/tree; echo x >\(dir)/n1-r8.partial/new"
            )
            try await member.sh("find \(dir)/n1-r7.partial \(dir)/n1-r8.partial/tree -exec touch -d '8 days ago' {} +")
            _ = try await take("r5", member)
            let left = try await kept(member)
            #expect(left.filter { $0.hasSuffix("partial") } == ["n1-r8.partial"])
        }
    }

    @Test func `a backup that fails removes none of the older ones`() async throws {
        try await withBackups { member in
            try await member.sh("mkfifo \(member.data)/odd")
            _ = try await failure { try await take("r5", member, retain: 1) }
            let left = try await kept(member)
            #expect(left.count == 4)
        }
    }

    @Test func `the listing tells what is there and of whom`() async throws {
        try await withBackups { member in
            let dir = member.backups
            try await member.sh("sed -i 's/\"host\":\"n1\"/\"host\":\"n2\"/' \(dir)/n1-r1/backup.json")
            try await member.sh(
                "mkdir \(dir)/n1-r9.partial; echo 'begun 1' >\(dir)/n1-r3/migration; echo '{}' >\(dir)/n1-r4/backup.json"
            )
            let command = BackupListing.command(in: [dir, "/nowhere"], host: "n1", timeout: .seconds(10))
            let listing = try #require(BackupListing(NodeReport(try await member.host.run(command))))
            #expect(listing.entries.map(\.description.run) == ["r3", "r2"])
            #expect(listing.entries.map(\.migration) == [.begun, nil])
            #expect(listing.entries.first?.description.files == 1)
            #expect(listing.unfinished == ["\(dir)/n1-r9.partial"])
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Rollout
import Testing

struct DiskFreeTests {
    private func action(_ path: String, _ atLeast: String) throws(ActionFailure) -> DiskFree {
        try DiskFree(Parameters(["path": .string(path), "at_least": .string(atLeast)]))
    }

    /// `df` that says one thing of space and another of inodes.
    private func fakeDisk(_ bench: GenericActionBench, space: String, inodes: String) throws -> String {
        try bench.replacing(
            "df",
            with: """
                echo 'Filesystem blocks Used Available Capacity Mounted on'
                case $1 in -Pk) echo '\(space)';; -Pi) echo '\(inodes)';; esac
                """
        )
    }

    // MARK: - Sizes

    @Test(
        arguments: [
            ("", "is empty"),
            ("  ", "is empty"),
            ("-5GB", "is negative"),
            ("much", "does not begin with a number"),
            ("1.2.3GB", "has no number that can be read: `1.2.3`"),
            ("0GB", "asks for nothing"),
            ("500", "has no unit"),
            ("500 megs", "has the unknown unit `megs`"),
            ("101%", "asks for more than the whole disk"),
            ("2x", "does not say of what"),
            ("2x etcd", "measures `etcd`, which is not an absolute path"),
            ("9999999TB", "is larger than any disk"),
        ]
    )
    func `a size that cannot be read is refused in words`(text: String, problem: String) {
        let expected = ActionFailure(
            "disk_free: `at_least: \(text)` \(problem)",
            remedy: "write a size (500MB, 2GiB), a share of the disk (10%) or a multiple (2x /var/lib/etcd)"
        )
        #expect(throws: expected) { try action("/", text) }
    }

    @Test(
        arguments: [
            ("1B", 1), ("1 kB", 1000), ("1.5KiB", 1536), ("500MB", 500_000_000), ("1G", 1_073_741_824),
            ("0.5 TiB", 549_755_813_888), ("1gb", 1_000_000_000),
            ("10%", 102_400_000), ("0.1%", 1_024_000),
        ]
    )
    func `a size is read as what it means`(text: String, bytes: Int) async throws {
        try await GenericActionBench.with { bench in
            let disk = try fakeDisk(bench, space: "/dev/x 1000000 0 900000000 0% /", inodes: "/dev/x 0 0 0 - /")
            let evidence = try await action("/", text).perform(bench.context(prelude: disk))
            #expect(evidence.values["needed_bytes"] == String(bytes))
        }
    }

    // MARK: - This machine's disk

    @Test func `a path that is not there yet is looked for above`() async throws {
        try await GenericActionBench.with { bench in
            let evidence = try await action(bench.path("it's/not here//yet/"), "1B").perform(bench.context())
            let directory = bench.directory.path(percentEncoded: false)
            #expect(evidence.values["nearest_path"] == directory.trimmingSuffix("/"))
            let free = try #require(evidence.values["free_bytes"].flatMap(Int.init))
            #expect(free > 0)
            #expect(evidence.values["needed_bytes"] == "1")
        }
    }

    @Test func `too little room is refused with what is missing`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await action(bench.path("x"), "900000TB").perform(bench.context())
            )
            #expect(failure?.message.hasPrefix("\(bench.path("x")) needs 799.4 PiB free, has ") == true)
            #expect(failure?.remedy?.contains("or name a path on a larger disk") == true)
        }
    }

    @Test func `the length of a sparse file counts, since a copy may fill it`() async throws {
        try await GenericActionBench.with { bench in
            try bench.write("", to: "data/sparse")
            let handle = try FileHandle(forWritingTo: URL(filePath: bench.path("data/sparse")))
            try handle.truncate(atOffset: 64 << 20)
            try handle.close()
            let evidence = try await action(bench.path("new"), "1.5x \(bench.path("data"))").perform(bench.context())
            let measured = try #require(evidence.values["measured_bytes"].flatMap(Int.init))
            #expect(measured >= 64 << 20)
            #expect(evidence.values["needed_bytes"] == String(measured * 3 / 2))
            #expect(evidence.values["same_file_system"] == "true")
            #expect(evidence.summary.hasSuffix(", on the same file system)"))
        }
    }

    @Test func `blocks count where they are more than the lengths`() async throws {
        try await GenericActionBench.with { bench in
            for number in 0..<50 { try bench.write("x", to: "data/\(number)") }
            let evidence = try await action("/", "1x \(bench.path("data"))").perform(bench.context())
            let measured = try #require(evidence.values["measured_bytes"].flatMap(Int.init))
            // 50 files of one byte take one block each; their lengths are 50 bytes and a directory.
            #expect(measured >= 50 * 1024)
        }
    }

    @Test func `a data directory behind a symbolic link is measured, not the link`() async throws {
        try await GenericActionBench.with { bench in
            try bench.write(String(repeating: "x", count: 300_000), to: "data/db")
            try FileManager.default.createSymbolicLink(
                atPath: bench.path("link"),
                withDestinationPath: bench.path("data")
            )
            let evidence = try await action("/", "1x \(bench.path("link"))").perform(bench.context())
            let measured = try #require(evidence.values["measured_bytes"].flatMap(Int.init))
            #expect(measured >= 300_000)
        }
    }

    @Test func `a path to measure that is not there is refused`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await action("/", "2x \(bench.path("nothing"))").perform(bench.context())
            )
            #expect(
                failure?.message
                    == "\(bench.path("nothing")) is not there or may not be seen, so `at_least` cannot be a multiple of it"
            )
        }
    }

    // MARK: - Disks that this machine does not have

    @Test func `the failure says what is needed, what there is and what to do`() async throws {
        try await GenericActionBench.with { bench in
            let disk = try fakeDisk(
                bench,
                space: "/dev/my disk 4194304 3145728 1048576 75% /mnt/back up",
                inodes: "/dev/my disk 1000 10 990 1% /mnt/back up"
            )
            let failure = try await thrown(
                try await action("/", "2GiB").perform(bench.context(prelude: disk))
            )
            #expect(failure?.message == "/ needs 2.0 GiB free, has 1.0 GiB on /mnt/back up (/dev/my disk)")
            #expect(failure?.remedy == "free 1.0 GiB on /mnt/back up, or name a path on a larger disk")
            #expect(failure?.isInDoubt == false)
        }
    }

    @Test func `a disk without free inodes is refused`() async throws {
        try await GenericActionBench.with { bench in
            let space = "/dev/x 4194304 0 4194304 0% /"
            let disk = try fakeDisk(bench, space: space, inodes: "/dev/x 1000 991 9 99% /")
            let failure = try await thrown(
                try await action("/", "1GiB").perform(bench.context(prelude: disk))
            )
            #expect(failure?.message == "/ has room, but only 9 of 1000 inodes are free on / (/dev/x)")
            let enough = try fakeDisk(bench, space: space, inodes: "/dev/x 1000 990 10 99% /")
            let evidence = try await action("/", "1GiB").perform(bench.context(prelude: enough))
            #expect(evidence.values["free_inodes"] == "10")
            let uncounted = try fakeDisk(bench, space: space, inodes: "/dev/x - - - - /")
            #expect(
                try await action("/", "1GiB").perform(bench.context(prelude: uncounted)).values["free_inodes"] == nil
            )
        }
    }

    @Test func `a measurement that is not whole is refused, but files may vanish`() async throws {
        try await GenericActionBench.with { bench in
            let partial = try bench.replacing(
                "du",
                with: "echo \"du: cannot read directory '/d/x': Permission denied\" >&2; echo '4 /d'; exit 1"
            )
            let failure = try await thrown(
                try await action("/", "2x /tmp").perform(bench.context(prelude: partial))
            )
            #expect(
                failure?.message
                    == "cannot measure all of /tmp: du: cannot read directory '/d/x': Permission denied"
            )
            let vanished = try bench.replacing(
                "du",
                with: "echo \"du: cannot access '/d/1.wal': No such file or directory\" >&2; echo '4 /d'; exit 1"
            )
            let evidence = try await action("/", "2x /tmp").perform(bench.context(prelude: vanished))
            #expect(evidence.values["needed_bytes"] == "8192")
        }
    }

    @Test func `an answer of df that cannot be read is a failure`() async throws {
        try await GenericActionBench.with { bench in
            let broken = try bench.replacing("df", with: "echo 'df: no mounts' >&2; exit 1")
            let failure = try await thrown(
                try await action("/", "1B").perform(bench.context(prelude: broken))
            )
            #expect(failure?.message == "df says nothing of / that can be read: df: no mounts")
        }
    }

    @Test func `a relative path is refused`() {
        #expect(throws: ActionFailure("disk_free: `path` must be an absolute path")) { try action("backups", "1GB") }
    }

    @Test func `it looks only, so it is looked at again and has nothing to take back`() async throws {
        try await GenericActionBench.with { bench in
            let action = try action("/", "1B")
            #expect(action.traits.effect == .readOnly)
            #expect(try await action.observe(bench.context()) == .notBegun("it only looks"))
            #expect(try await thrown(try await action.undo(bench.context())) != nil)
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Testing

/// What is left when a writer is killed, and when the disk is full.
@Suite(.serialized) struct JournalCrashTests {
    private static let childVariable = "PAWL_JOURNAL_TEST_CHILD"

    /// The other side of the next test, in a process of its own: writes until it is killed, and says what it has written.
    @Test(.enabled(if: ProcessInfo.processInfo.environment[childVariable] != nil, "runs as the child of another test"))
    func `child that writes until it is killed`() async throws {
        let path = try #require(ProcessInfo.processInfo.environment[Self.childVariable])
        let store = try await SQLiteRunStore.open(URL(filePath: path), for: .writing)
        let lock = try await store.acquireController(run: "a1")
        let output = try FileHandle(forWritingTo: URL(filePath: path + ".acknowledged"))
        // A parent that ended without killing its child must not leave a writer behind.
        let parent = getppid()
        var durability = Durability.now
        while getppid() == parent {
            durability = durability == .now ? .withNext : .now
            let sequence = try await store.append(sampleStep("a1", "steps.1/n1"), durability)
            try output.write(contentsOf: Data("\(sequence)\n".utf8))
            _ = lock.holder
        }
    }

    @Test func `everything that a killed writer was told is written is there, and its lock is gone`() async throws {
        try await withScratch { scratch in
            let directory = scratch.appending(path: "state")
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            try await store.create(sampleRun("a1"))
            let acknowledged = directory.path + ".acknowledged"
            try Data().write(to: URL(filePath: acknowledged))
            let child = Process()
            child.executableURL = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
            child.arguments = Self.childArguments
            child.environment = ProcessInfo.processInfo.environment.merging([Self.childVariable: directory.path]) { $1 }
            child.standardOutput = FileHandle.nullDevice
            child.standardError = FileHandle.nullDevice
            try child.run()
            defer { kill(child.processIdentifier, SIGKILL) }
            while try lines(acknowledged).count < 50, child.isRunning { try await Task.sleep(for: .milliseconds(5)) }
            let held = await journalError { try await store.acquireController(run: "b1") }
            #expect(held?.code == .locked, "the child ended with \(child.isRunning ? 0 : child.terminationStatus)")
            #expect(held?.holder?.pid == child.processIdentifier)
            kill(child.processIdentifier, SIGKILL)
            while child.isRunning { try await Task.sleep(for: .milliseconds(5)) }

            let told = try lines(acknowledged).compactMap { Int64($0) }
            #expect(told.count >= 50)
            await store.close()
            let reopened = try await SQLiteRunStore.open(directory, for: .writing)
            let found = try await reopened.records(of: "a1").map(\.sequence)
            #expect(Set(told).isSubset(of: found))
            #expect(found.count <= told.count + 1, "one write may have been finished and not been told")
            #expect(try await reopened.controller() == nil)
            let lock = try await reopened.acquireController(run: "b1")
            lock.release()
        }
    }

    /// The lines that are complete.
    private func lines(_ path: String) throws -> [Substring] {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.dropLast().map(\.self)
    }

    /// The arguments of this process with the filter of another test.
    private static var childArguments: [String] {
        var arguments: [String] = []
        var rest = CommandLine.arguments.dropFirst()
        while let argument = rest.popFirst() {
            if argument == "--filter" || argument == "--skip" || argument == "--event-stream-output-path" {
                rest = rest.dropFirst()
            } else {
                arguments.append(argument)
            }
        }
        return arguments + ["--filter", "JournalCrashTests.*child that writes"]
    }

    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func `a full disk and a read-only one are told, and writing goes on when there is room`() async throws {
        try await withScratch { scratch in
            let mount = scratch.appending(path: "disk")
            try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
            guard try await run("/bin/mount", ["-t", "tmpfs", "-o", "size=512k,mode=700", "none", mount.path]) == 0
            else {
                withKnownIssue("this machine does not let root mount a tmpfs") { Issue.record("no mount") }
                return
            }
            defer { umount2(mount.path, Int32(MNT_DETACH)) }
            let store = try await SQLiteRunStore.open(mount, for: .writing)
            try await store.create(sampleRun("a1"))
            var written = 0
            var failure: JournalError?
            while failure == nil, written < 1_000 {
                let step = sampleStep("a1", message: String(repeating: "x", count: 8_000))
                failure = await journalError { try await store.append(step) }
                if failure == nil { written += 1 }
            }
            #expect(failure?.code == .unwritable)
            #expect(failure?.message.contains(mount.appending(path: "journal.db").path) == true)
            #expect(failure?.message.contains("full") == true)
            #expect(failure?.remedy == "make room on the disk")
            #expect(try await store.records(of: "a1").count == written)

            try #require(try await run("/bin/mount", ["-o", "remount,size=4m", mount.path]) == 0)
            try await store.append(sampleStep("a1", "steps.2/n1"))
            #expect(try await store.records(of: "a1").count == written + 1)
            await store.close()

            try #require(try await run("/bin/mount", ["-o", "remount,ro", mount.path]) == 0)
            let refused = await journalError { try await SQLiteRunStore.open(mount, for: .writing) }
            #expect(refused?.code == .unwritable)
            #expect(refused?.message.contains(mount.path) == true)
        }
    }
}

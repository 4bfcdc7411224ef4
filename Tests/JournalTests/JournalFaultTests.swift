// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Testing

/// Real faults at every place of a write: the disk full, and the process gone.
@Suite(.serialized) struct JournalFaultTests {
    /// What a run writes, in its order.
    private enum Write: CaseIterable {
        case run, controller, intent, outcome, fact, undoIntent, undoOutcome, verdict

        func perform(on store: SQLiteRunStore) async throws {
            let text = JournalFaultTests.filler
            switch self {
            case .run: try await store.create(sampleRun("a1"))
            case .controller: try await store.setController(of: "a1", host: "controller", pid: 1, version: "1")
            case .intent: try await store.append(sampleStep("a1", message: text))
            case .outcome:
                try await store.append(sampleStep("a1", "steps.1/n1", .outcome, .done, message: text), .withNext)
            case .fact: try await store.recordFact("n1:backup_path", text, of: "a1")
            case .undoIntent: try await store.append(sampleStep("a1", "steps.2/n1", .undoIntent))
            case .undoOutcome:
                try await store.append(sampleStep("a1", "steps.2/n1", .undoOutcome, .undone, message: text))
            case .verdict: try await store.setState(of: "a1", .halted, exitCode: 3)
            }
        }
    }

    private static let filler = String(repeating: "x", count: 3_000)

    /// Everything that the journal holds of the run; `nil` where there is none.
    private func contents(of directory: URL) async throws -> JournalExport? {
        do throws(JournalError) {
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            let export = try await store.runs().isEmpty ? nil : JournalExport("a1", from: store)
            await store.close()
            return export
        } catch {
            if error.code == .notFound { return nil }
            throw error
        }
    }

    @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
    func `a disk that is full at any write loses that write only, and keeps it beside or says it`() async throws {
        try await withScratch { scratch in
            let mount = scratch.appending(path: "disk")
            try FileManager.default.createDirectory(at: mount, withIntermediateDirectories: true)
            var failedAt: Set<Int> = []
            var kept = 0
            // The pages of a tmpfs are of 4 KiB, so these are all the places at which room can run out.
            for pages in 1...90 {
                guard
                    try await run(
                        "/bin/mount",
                        ["-t", "tmpfs", "-o", "size=\(pages * 4)k,mode=700", "none", mount.path]
                    ) == 0
                else {
                    withKnownIssue("this machine does not let root mount a tmpfs") { Issue.record("no mount") }
                    return
                }
                defer { umount2(mount.path, Int32(MNT_DETACH)) }
                let failure = try await writeUntilFull(mount)
                guard let failure else { break }
                failedAt.insert(failure.position)
                if failure.isKept { kept += 1 }
            }
            // Opening, and each of the writes but for the smallest, which fit where others do not.
            #expect(failedAt.isSuperset(of: [-1, 2, 4]), "\(failedAt.sorted())")
            #expect(kept > 0)
        }
    }

    private struct Full {
        /// Which write failed; -1 for the opening.
        var position: Int
        var isKept: Bool
    }

    private func writeUntilFull(_ mount: URL) async throws -> Full? {
        let store: SQLiteRunStore
        do throws(JournalError) {
            store = try await SQLiteRunStore.open(mount, for: .writing)
        } catch {
            #expect(error.code == .unwritable, "\(error)")
            #expect(error.message.contains(mount.path), "\(error)")
            return Full(position: -1, isKept: false)
        }
        var expected: [JournalExport?] = [nil]
        var full: Full?
        for (position, write) in Write.allCases.enumerated() where full == nil {
            let failure = await journalError { try await write.perform(on: store) }
            if let failure {
                #expect(failure.code == .unwritable, "\(failure)")
                #expect(failure.message.contains(mount.path), "\(failure)")
                let beside = try? String(contentsOf: mount.appending(path: "journal.unwritten"), encoding: .utf8)
                let isKept = beside?.isEmpty == false
                if position >= 2 {
                    #expect(failure.message.contains(isKept ? "journal.unwritten" : "stderr"), "\(failure)")
                }
                full = Full(position: position, isKept: isKept)
            } else {
                expected.append(position >= 0 ? try await JournalExport("a1", from: store) : nil)
            }
        }
        await store.close()
        guard full != nil else { return nil }
        // With room again, everything that was acknowledged is there, and nothing else; and writing goes on.
        try #require(try await run("/bin/mount", ["-o", "remount,size=4m", mount.path]) == 0)
        #expect(try await contents(of: mount) == expected.last ?? nil)
        let again = try await SQLiteRunStore.open(mount, for: .writing)
        if expected.count == 1 { try await again.create(sampleRun("a1")) }
        try await again.append(sampleStep("a1", "steps.9/n1"))
        await again.close()
        return full
    }

    @Test func `a process that is gone at any place of a write leaves a journal of whole records`() async throws {
        try await withScratch { scratch in
            let directory = scratch.appending(path: "state")
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            // What was there after each write, and how long the log was then.
            var states: [(length: Int, contents: JournalExport?)] = [(try length(of: directory), nil)]
            for write in Write.allCases {
                try await write.perform(on: store)
                states.append((try length(of: directory), try await JournalExport("a1", from: store)))
            }
            // The files as they are while the process lives; a copy of them is what a kill leaves.
            let file = try Data(contentsOf: directory.appending(path: "journal.db"))
            let log = try Data(contentsOf: directory.appending(path: "journal.db-wal"))
            #expect(states.map(\.length) == states.map(\.length).sorted())
            for length in Array(stride(from: states[0].length, to: log.count, by: 512)) + [log.count] {
                let copy = scratch.appending(path: "copy-\(length)")
                try FileManager.default.createDirectory(
                    at: copy,
                    withIntermediateDirectories: false,
                    attributes: [.posixPermissions: 0o700]
                )
                try file.write(to: copy.appending(path: "journal.db"))
                try log.prefix(length).write(to: copy.appending(path: "journal.db-wal"))
                let expected = states.last { $0.length <= length }?.contents
                #expect(try await contents(of: copy) == expected, "cut at \(length) of \(log.count)")
                try FileManager.default.removeItem(at: copy)
            }
            await store.close()
        }
    }

    private func length(of directory: URL) throws -> Int {
        try Data(contentsOf: directory.appending(path: "journal.db-wal")).count
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/sqlite3"), "needs sqlite3"))
    func `a record that cannot be written is a line of the file beside the journal`() async throws {
        try await withScratch { scratch in
            let directory = scratch.appending(path: "state")
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            try await store.create(sampleRun("a1"))
            // Another program that writes, and does not come to an end.
            let blocker = Process()
            let input = Pipe()
            let output = Pipe()
            blocker.executableURL = URL(filePath: "/usr/bin/sqlite3")
            blocker.arguments = [directory.appending(path: "journal.db").path]
            blocker.standardInput = input
            blocker.standardOutput = output
            try blocker.run()
            defer { kill(blocker.processIdentifier, SIGKILL) }
            try input.fileHandleForWriting.write(contentsOf: Data("BEGIN IMMEDIATE; SELECT 1;\n".utf8))
            try #require(output.fileHandleForReading.availableData == Data("1\n".utf8))
            let failure = await journalError { try await store.append(sampleStep("a1", message: "the intent")) }
            #expect(failure?.code == .busy)
            #expect(failure?.message.contains("journal.unwritten") == true)
            let beside = directory.appending(path: "journal.unwritten")
            #expect(SQLiteRunStore.unwrittenRecords(in: directory) == [beside.path])
            let line = try String(contentsOf: beside, encoding: .utf8)
            #expect(line.hasSuffix("\n"))
            #expect(line.contains(#""message":"the intent""#))
            #expect(line.contains(#""why":"#))
            #expect(try mode(of: beside) == 0o600)
            #expect(try await store.records(of: "a1").isEmpty)
        }
    }

    @Test func `an export of lines is read back as it was, and anything else is refused`() async throws {
        let store = InMemoryRunStore()
        try await store.create(sampleRun("a1"))
        try await store.append(sampleStep("a1", "steps.1/n1", .outcome, .failed, message: "two\nlines"))
        try await store.recordFact("n1:keys", "2", of: "a1")
        let export = try await JournalExport("a1", from: store)
        let lines = try export.lines()
        #expect(lines.split(separator: UInt8(ascii: "\n")).count == 3)
        #expect(try JournalExport(lines: lines) == export)
        #expect(try JournalExport(lines: lines).lines() == lines)
        for text in ["", "{}\n", "nonsense\n", String(decoding: lines, as: UTF8.self) + "{}\n"] {
            #expect(await journalError { try JournalExport(lines: Data(text.utf8)) }?.code == .corrupt)
        }
    }
}

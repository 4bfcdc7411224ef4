// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Testing

@Suite struct SQLiteRunStoreTests {
    /// Runs SQL with the tool of the distribution, as another program would.
    private func sqlite(_ directory: URL, _ statements: String) async throws {
        let status = try await run("/usr/bin/sqlite3", [directory.appending(path: "journal.db").path, statements])
        try #require(status == 0)
    }

    private static let hasTool = FileManager.default.isExecutableFile(atPath: "/usr/bin/sqlite3")

    @Test func `directory and files are for their owner only whatever the umask is`() async throws {
        try await withScratch { scratch in
            // The umask belongs to the whole process, so it is not changed here; the modes are compared bit by bit.
            let directory = scratch.appending(path: "a/state")
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            try await store.create(sampleRun("a1"))
            let lock = try await store.acquireController(run: "a1")
            defer { lock.release() }
            #expect(try mode(of: directory) == 0o700)
            #expect(try mode(of: scratch.appending(path: "a")) == 0o700)
            let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
            #expect(files == ["journal.db", "journal.db-shm", "journal.db-wal", "journal.lock", "journal.spare"])
            for file in files { #expect(try mode(of: directory.appending(path: file)) == 0o600) }
        }
    }

    @Test func `a journal that others could read is made private again`() async throws {
        try await withScratch { directory in
            let file = directory.appending(path: "journal.db")
            await (try SQLiteRunStore.open(directory, for: .writing)).close()
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: file.path)
            _ = try await SQLiteRunStore.open(directory, for: .writing)
            #expect(try mode(of: file) == 0o600)
        }
    }

    @Test func `a directory that others may write to is refused and not changed`() async throws {
        try await withScratch { directory in
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: directory.path)
            #expect(await journalError { try await SQLiteRunStore.open(directory, for: .writing) }?.code == .insecure)
            #expect(try mode(of: directory) == 0o777)
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
        }
    }

    @Test func `a link in place of the journal is refused`() async throws {
        try await withScratch { directory in
            let link = directory.appending(path: "journal.db").path
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "/dev/null")
            #expect(await journalError { try await SQLiteRunStore.open(directory, for: .writing) }?.code == .unwritable)
        }
    }

    @Test func `reading makes no journal`() async throws {
        try await withScratch { directory in
            let error = await journalError { try await SQLiteRunStore.open(directory, for: .reading) }
            #expect(error?.code == .notFound)
            #expect(error?.message.contains(directory.path) == true)
            let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            #expect(files.isEmpty)
        }
    }

    @Test(.enabled(if: hasTool, "needs sqlite3"))
    func `a journal of a later version is refused and left as it is`() async throws {
        try await withScratch { directory in
            await (try SQLiteRunStore.open(directory, for: .writing)).close()
            try await sqlite(directory, "PRAGMA user_version = 2")
            let file = directory.appending(path: "journal.db")
            let before = try Data(contentsOf: file)
            for access in [SQLiteRunStore.Access.writing, .reading] {
                let error = await journalError { try await SQLiteRunStore.open(directory, for: access) }
                #expect(error?.code == .newer)
                #expect(error?.message.contains("later version of pawl") == true)
            }
            #expect(try Data(contentsOf: file) == before)
        }
    }

    @Test(.enabled(if: hasTool, "needs sqlite3"))
    func `a database of something else is refused and left as it is`() async throws {
        try await withScratch { directory in
            try await sqlite(directory, "CREATE TABLE note (text); INSERT INTO note VALUES ('mine')")
            let file = directory.appending(path: "journal.db")
            let before = try Data(contentsOf: file)
            #expect(await journalError { try await SQLiteRunStore.open(directory, for: .writing) }?.code == .foreign)
            #expect(try Data(contentsOf: file) == before)
        }
    }

    @Test func `a damaged file is told, at its head and in its middle`() async throws {
        try await withScratch { directory in
            let file = directory.appending(path: "journal.db")
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            try await store.create(sampleRun("a1"))
            for _ in 0..<200 { try await store.append(sampleStep("a1", message: String(repeating: "x", count: 500))) }
            await store.close()
            let good = try Data(contentsOf: file)
            for range in [0..<100, 20_000..<60_000] {
                var bad = good
                bad.replaceSubrange(range, with: Data(repeating: 0xA5, count: range.count))
                try bad.write(to: file)
                let error = await journalError { try await SQLiteRunStore.open(directory, for: .writing) }
                #expect(error?.code == .corrupt)
                #expect(error?.message.contains(file.path) == true)
            }
        }
    }

    @Test(
        .enabled(if: hasTool, "needs sqlite3"),
        arguments: [
            "UPDATE run SET state = 'lost'", "UPDATE run SET plan = '{'", "UPDATE run SET ended_at = 5",
            "UPDATE run SET controller_pid = 'x'", "UPDATE run SET inventory_paths = '{}'",
        ]
    )
    func `a row that was changed by something else is not believed`(_ statement: String) async throws {
        try await withScratch { directory in
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            try await store.create(sampleRun("a1"))
            try await sqlite(directory, statement)
            #expect(await journalError { try await store.run("a1") }?.code == .corrupt)
            #expect(await journalError { try await store.records(of: "a1") }?.code == .corrupt)
        }
    }

    @Test(.enabled(if: hasTool, "needs sqlite3"))
    func `records and facts can be neither changed nor removed`() async throws {
        try await withScratch { directory in
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            try await store.create(sampleRun("a1"))
            try await store.append(sampleStep("a1"))
            try await store.recordFact("a", "b", of: "a1")
            let path = directory.appending(path: "journal.db").path
            for statement in [
                "UPDATE step SET message = 'x'", "DELETE FROM step", "UPDATE fact SET value = 'x'", "DELETE FROM fact",
            ] {
                #expect(try await run("/usr/bin/sqlite3", [path, statement]) != 0)
            }
        }
    }

    @Test func `a reader sees each write at once and never keeps the writer waiting`() async throws {
        try await withScratch { directory in
            let writer = try await SQLiteRunStore.open(directory, for: .writing)
            try await writer.create(sampleRun("a1"))
            let reader = try await SQLiteRunStore.open(directory, for: .reading)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 1...200 {
                        try await writer.append(sampleStep("a1", "steps.\(number)/n1"))
                        #expect(try await reader.records(of: "a1").count == number)
                    }
                }
                group.addTask {
                    let other = try await SQLiteRunStore.open(directory, for: .reading)
                    var seen = 0
                    while seen < 200 {
                        let records = try await other.records(of: "a1")
                        #expect(records.count >= seen)
                        seen = records.count
                    }
                }
                try await group.waitForAll()
            }
            #expect(await journalError { try await reader.append(sampleStep("a1")) }?.code == .unwritable)
        }
    }

    @Test(.enabled(if: hasTool, "needs sqlite3"))
    func `a reader in the middle of a read does not stop the writer`() async throws {
        try await withScratch { directory in
            let writer = try await SQLiteRunStore.open(directory, for: .writing)
            try await writer.create(sampleRun("a1"))
            // As a `pawl status` that was stopped with ^Z: a read transaction that stays open.
            let reader = Process()
            let input = Pipe()
            let output = Pipe()
            reader.executableURL = URL(filePath: "/usr/bin/sqlite3")
            reader.arguments = [directory.appending(path: "journal.db").path]
            reader.standardInput = input
            reader.standardOutput = output
            try reader.run()
            defer { kill(reader.processIdentifier, SIGKILL) }
            try input.fileHandleForWriting.write(contentsOf: Data("BEGIN; SELECT count(*) FROM run;\n".utf8))
            try #require(output.fileHandleForReading.availableData == Data("1\n".utf8))
            let clock = ContinuousClock()
            let elapsed = try await clock.measure { try await writer.append(sampleStep("a1")) }
            #expect(elapsed < .seconds(4), "a write that waits for a reader takes the busy timeout of 5 s")
        }
    }

    @Test func `many writers at once lose nothing`() async throws {
        try await withScratch { directory in
            let stores = [
                try await SQLiteRunStore.open(directory, for: .writing),
                try await SQLiteRunStore.open(directory, for: .writing),
            ]
            try await stores[0].create(sampleRun("a1"))
            try await withThrowingTaskGroup(of: Int64.self) { group in
                for number in 0..<100 {
                    group.addTask { try await stores[number % 2].append(sampleStep("a1", "steps.\(number)/n1")) }
                }
                var sequences: Set<Int64> = []
                for try await sequence in group { sequences.insert(sequence) }
                #expect(sequences.count == 100)
            }
            #expect(try await stores[1].records(of: "a1").count == 100)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Journal
import Testing

@testable import PawlCommands

/// What the commands that read the journal make of one that is not in order.
@Suite(.serialized) struct JournalStateTests {
    private static let readers = [["runs"], ["status"], ["journal", "export"]]

    private func exitCode(_ words: [String], _ directory: URL) async throws -> Int32 {
        var command = try PawlCommand.parseAsRoot(words + ["--state", directory.path])
        do {
            if var command = command as? any AsyncParsableCommand { try await command.run() } else { try command.run() }
            return 0
        } catch {
            return PawlCommand.exitCode(for: error).rawValue
        }
    }

    private func withJournal(_ body: (URL) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "pawl-state-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: directory) }
        let store = try await SQLiteRunStore.open(directory, for: .writing)
        try await store.create(
            RunRecord(
                id: "r1",
                createdAt: Date(),
                playbookPath: "play.yaml",
                inventoryPaths: ["hosts.ini"],
                limit: nil,
                extraVariablesJSON: "{}",
                planJSON: #"{"name":"p","hosts":[],"serial":{"all":{}},"onFailure":"halt","needsQuorum":false,"#
                    + #""stages":[],"steps":[],"inputs":{"inventory":"","playbook":"","variables":"","members":{}}}"#,
                planDigest: "x",
                state: .running,
                exitCode: nil,
                endedAt: nil,
                controllerHost: "ctl1",
                controllerPID: 1,
                version: "test"
            )
        )
        await store.close()
        try await body(directory)
    }

    @Test func `a journal that another controller holds is read`() async throws {
        try await withJournal { directory in
            let store = try await SQLiteRunStore.open(directory, for: .writing)
            let lock = try await store.acquireController(run: "r1")
            for words in [["runs"], ["journal", "export"]] { #expect(try await exitCode(words, directory) == 0) }
            lock.release()
        }
    }

    @Test func `one that is not there, or empty, has no runs`() async throws {
        try await withJournal { directory in
            for words in Self.readers {
                #expect(try await exitCode(words, directory.appending(path: "nowhere")) == 64)
            }
            for suffix in ["", "-wal", "-shm"] {
                try? FileManager.default.removeItem(at: directory.appending(path: "journal.db" + suffix))
            }
            try Data().write(to: directory.appending(path: "journal.db"))
            for words in Self.readers { #expect(try await exitCode(words, directory) == 64) }
        }
    }

    @Test func `one that is damaged is an error and left as it is`() async throws {
        try await withJournal { directory in
            let file = directory.appending(path: "journal.db")
            let good = try Data(contentsOf: file)
            for range in [0..<100, 4_096..<good.count] {
                var bad = good
                bad.replaceSubrange(range, with: Data(repeating: 0xA5, count: range.count))
                try bad.write(to: file)
                for words in Self.readers { #expect(try await exitCode(words, directory) == 1, "\(words) \(range)") }
                #expect(try Data(contentsOf: file) == bad)
            }
        }
    }

    @Test func `one of a later version is an error and left as it is`() async throws {
        try await withJournal { directory in
            let file = directory.appending(path: "journal.db")
            var later = try Data(contentsOf: file)
            // The version of the form: `user_version`, 4 bytes at 60 (sqlite.org/fileformat2.html).
            later.replaceSubrange(60..<64, with: [0, 0, 0, 2])
            try later.write(to: file)
            for words in Self.readers + [["resume"]] { #expect(try await exitCode(words, directory) == 1, "\(words)") }
            #expect(try Data(contentsOf: file) == later)
        }
    }

    @Test func `an export goes to a file that is its owner's only`() async throws {
        try await withJournal { directory in
            let out = directory.appending(path: "run.jsonl")
            #expect(try await exitCode(["journal", "export", "r1", "--out", out.path], directory) == 0)
            #expect(try JournalExport(lines: Data(contentsOf: out)).run.id == "r1")
            let attributes = try FileManager.default.attributesOfItem(atPath: out.path)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            #expect(try await exitCode(["journal", "export", "r2"], directory) == 64)
        }
    }

    @Test func `an unlock says why`() async throws {
        #expect(throws: (any Error).self) { try PawlCommand.parseAsRoot(["unlock", "-i", "a"]) }
        #expect(throws: (any Error).self) { try PawlCommand.parseAsRoot(["unlock", "-i", "a", "--reason", " "]) }
        let command = try PawlCommand.parseAsRoot(["unlock", "-i", "a", "--reason", "gone", "--no-become", "--yes"])
        #expect((command as? UnlockCommand)?.reason == "gone")
    }
}

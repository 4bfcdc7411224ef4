// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import GRDB

/// The journal on disk: one SQLite file in the state directory.
///
/// ## Concurrency
///
/// Every access runs on the store's own queue, not in a task: GRDB rolls back what a cancelled task writes
/// (GRDB7MigrationGuide), and a journal must be written to the end exactly when its run is being cancelled. It also
/// keeps the disk's waits off Swift's cooperative threads.
package final class SQLiteRunStore: RunStore {
    package enum Access: Sendable {
        /// Makes the journal where there is none.
        case writing
        /// Fails with `notFound` where there is none.
        case reading
    }

    private let directory: StateDirectory
    private let database: DatabaseQueue
    private let queue: DispatchQueue

    /// Files beside the journal with records that it could not take, the oldest first.
    package static func unwrittenRecords(in directory: URL) -> [String] {
        StateDirectory(path: directory.standardizedFileURL.path).unwrittenPaths
    }

    /// Opens the journal in a directory, checks whose file it is and that it is whole.
    package static func open(_ directory: URL, for access: Access) async throws(JournalError) -> SQLiteRunStore {
        let state = StateDirectory(path: directory.standardizedFileURL.path)
        let queue = DispatchQueue(label: "pawl.journal")
        let database = try await perform(on: queue, path: state.journalPath, isWrite: access == .writing) {
            switch access {
            case .writing: try state.prepare()
            case .reading: try state.checkForReading()
            }
            return try connect(state.journalPath, access)
        }
        return SQLiteRunStore(directory: state, database: database, queue: queue)
    }

    private init(directory: StateDirectory, database: DatabaseQueue, queue: DispatchQueue) {
        self.directory = directory
        self.database = database
        self.queue = queue
    }

    private static func connect(_ path: String, _ access: Access) throws -> DatabaseQueue {
        let configuration = JournalSchema.configuration(isReadOnly: access == .reading)
        let database = try DatabaseQueue(path: path, configuration: configuration)
        // Whose file it is comes first: to set the journal mode writes into the file.
        let identity = try database.read { try JournalSchema.identify($0, path: path) }
        switch access {
        case .writing:
            try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = WAL") }
            try database.write { try JournalSchema.create($0, path: path) }
            try database.read { try JournalSchema.verifyIntegrity($0, path: path) }
        case .reading where identity == .new:
            throw JournalError(.notFound, "\(path) holds no run yet")
        case .reading:
            break
        }
        try database.read { try JournalSchema.verifySettings($0, path: path) }
        return database
    }

    /// Ends the connection; a store that is forgotten ends it too.
    package func close() async {
        _ = try? await Self.perform(on: queue, path: directory.journalPath, isWrite: false) { [database] in
            try database.close()
        }
    }

    package func acquireController(run: String) async throws(JournalError) -> ControllerLock {
        let file = ControllerLockFile(path: directory.lockPath)
        return try await Self.perform(on: queue, path: directory.lockPath, isWrite: true) { try file.acquire(run: run) }
    }

    package func controller() async throws(JournalError) -> ControllerHolder? {
        let file = ControllerLockFile(path: directory.lockPath)
        return try await Self.perform(on: queue, path: directory.lockPath, isWrite: false) { try file.holder() }
    }

    // MARK: - Access to the database

    /// One transaction that is committed, and on the disk as its durability says, when this returns.
    func write<Value: Sendable>(
        _ durability: Durability = .now,
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(JournalError) -> Value {
        try await Self.perform(on: queue, path: directory.journalPath, isWrite: true) { [database] in
            switch durability {
            case .now: try database.write(body)
            case .withNext: try Self.writeUnflushed(database, body)
            }
        }
    }

    /// A write whose content is kept elsewhere when the journal cannot take it.
    func write<Value: Sendable>(
        _ durability: Durability = .now,
        keeping content: UnwrittenRecord.Content,
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(JournalError) -> Value {
        do throws(JournalError) {
            return try await write(durability, body)
        } catch {
            // What names a run that is not there, or makes no sense, is a slip of the caller's and no loss.
            guard [.unwritable, .busy, .corrupt, .unreadable].contains(error.code) else { throw error }
            throw UnwrittenRecord(content: content, directory: directory).kept(after: error)
        }
    }

    /// In WAL mode with `synchronous = NORMAL` a commit is appended to the log and not flushed; the next commit under
    /// `FULL` flushes the whole log (sqlite.org/pragma.html#pragma_synchronous).
    private static func writeUnflushed<Value>(
        _ database: DatabaseQueue,
        _ body: @escaping @Sendable (Database) throws -> Value
    ) throws -> Value {
        try database.writeWithoutTransaction { connection in
            try connection.execute(sql: "PRAGMA synchronous = NORMAL")
            let result = Result {
                var value: Value?
                try connection.inTransaction(.immediate) {
                    value = try body(connection)
                    return .commit
                }
                return value
            }
            try connection.execute(sql: "PRAGMA synchronous = FULL")
            guard let value = try result.get() else { throw JournalError(.unwritable, "nothing was written") }
            return value
        }
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(JournalError) -> Value {
        try await Self.perform(on: queue, path: directory.journalPath, isWrite: false) { [database] in
            try database.read(body)
        }
    }

    private static func perform<Value: Sendable>(
        on queue: DispatchQueue,
        path: String,
        isWrite: Bool,
        _ body: @escaping @Sendable () throws -> Value
    ) async throws(JournalError) -> Value {
        let result: Result<Value, JournalError> = await withCheckedContinuation { continuation in
            queue.async {
                do {
                    continuation.resume(returning: .success(try body()))
                } catch {
                    continuation.resume(returning: .failure(failure(error, path: path, isWrite: isWrite)))
                }
            }
        }
        return try result.get()
    }

    private static func failure(_ error: any Error, path: String, isWrite: Bool) -> JournalError {
        guard let error = error as? DatabaseError else {
            return error as? JournalError ?? JournalError(isWrite ? .unwritable : .unreadable, "\(path): \(error)")
        }
        // Not the error's own description: it may show the statement.
        let cause = error.message ?? error.resultCode.description
        switch error.resultCode {
        case .SQLITE_NOTADB, .SQLITE_CORRUPT:
            return JournalError(.corrupt, "\(path) is damaged: \(cause)", remedy: JournalSchema.damaged)
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return JournalError(.busy, "\(path) is in use by another process: \(cause)")
        case .SQLITE_CONSTRAINT where error.extendedResultCode == .SQLITE_CONSTRAINT_FOREIGNKEY:
            return JournalError(.unknownRun, "\(path) does not hold the run that the record belongs to")
        case .SQLITE_CONSTRAINT where error.extendedResultCode == .SQLITE_CONSTRAINT_UNIQUE:
            return JournalError(.duplicateRun, "\(path) holds a run with this id already")
        case .SQLITE_FULL:
            return JournalError(.unwritable, "\(path) cannot be written: \(cause)", remedy: "make room on the disk")
        default:
            let verb = isWrite ? "written" : "read"
            return JournalError(isWrite ? .unwritable : .unreadable, "\(path) cannot be \(verb): \(cause)")
        }
    }
}

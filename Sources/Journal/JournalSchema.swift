// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB

/// The form of the journal's file, and the settings of each connection to it.
///
/// - `journal_mode=WAL`: a reader never makes the writer wait. With a rollback journal a `pawl status` that was stopped
///   with ^Z would hold its lock and halt a roll. It costs one fsync a commit instead of three. The price is that the
///   file must be on a local filesystem.
/// - `synchronous=FULL`: in WAL mode `NORMAL` may lose the last commits on a loss of power, and an intent that is lost
///   is an effect that nobody knows of (https://www.sqlite.org/pragma.html#pragma_synchronous). Records that may be
///   lost in this way are written under `NORMAL`: see ``Durability``.
/// - `foreign_keys=ON`: a record without its run would never be found.
/// - `busy_timeout`: what another process may take for its own write.
enum JournalSchema {
    /// "pawl" in ASCII, where `file(1)` and other tools look for it.
    static let applicationID: Int64 = 0x7061_776C
    static let version: Int64 = 1
    static let busyTimeoutSeconds = 5.0

    static func configuration(isReadOnly: Bool) -> Configuration {
        var configuration = Configuration()
        configuration.label = "journal"
        configuration.readonly = isReadOnly
        configuration.busyMode = .timeout(busyTimeoutSeconds)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA foreign_keys = ON")
            try database.execute(sql: "PRAGMA synchronous = FULL")
        }
        return configuration
    }

    enum Identity {
        case new, ours
    }

    /// Whose file it is, before anything is changed in it.
    static func identify(_ database: Database, path: String) throws -> Identity {
        let application = try Int64.fetchOne(database, sql: "PRAGMA application_id")
        let found = try Int64.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        let tables = try Int64.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master")
        if application == 0, found == 0, tables == 0 { return .new }
        guard application == applicationID else {
            throw JournalError(
                .foreign,
                "\(path) is a database of something else",
                remedy: "name another directory with --state"
            )
        }
        guard found <= version else {
            throw JournalError(
                .newer,
                "\(path) was written by a later version of pawl (form \(found), this one knows \(version))",
                remedy: "use that version; nothing was changed"
            )
        }
        guard found >= 1 else { throw JournalError(.corrupt, "\(path) has no version") }
        return .ours
    }

    /// Makes the tables, within a transaction; does nothing where another process was faster.
    static func create(_ database: Database, path: String) throws {
        guard try identify(database, path: path) == .new else { return }
        try database.execute(sql: tables)
        try database.execute(sql: "PRAGMA application_id = \(applicationID)")
        try database.execute(sql: "PRAGMA user_version = \(version)")
    }

    /// Reads the settings back: a pragma that SQLite does not know, or cannot grant, is silent.
    static func verifySettings(_ database: Database, path: String) throws {
        let expected = [
            "journal_mode": "wal", "synchronous": "2", "foreign_keys": "1",
            "busy_timeout": String(Int(busyTimeoutSeconds * 1_000)),
        ]
        for (name, value) in expected.sorted(by: { $0.key < $1.key }) {
            let found = try String.fetchOne(database, sql: "PRAGMA \(name)")
            guard found == value else {
                throw JournalError(
                    .unwritable,
                    "\(path): SQLite says \(name)=\(found ?? "nothing") instead of \(value)",
                    remedy: name == "journal_mode" ? "the state directory must be on a local filesystem" : nil
                )
            }
        }
    }

    static func verifyIntegrity(_ database: Database, path: String) throws {
        let findings = try String.fetchAll(database, sql: "PRAGMA quick_check(3)")
        guard findings == ["ok"] else {
            throw JournalError(.corrupt, "\(path) is damaged: \(findings.joined(separator: "; "))", remedy: damaged)
        }
    }

    static let damaged = "move the directory aside; what is true is on the nodes, and 'pawl verify' shows it"

    private static let tables = """
        CREATE TABLE run (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            playbook_path TEXT NOT NULL,
            inventory_paths TEXT NOT NULL,
            host_limit TEXT,
            extra_variables TEXT NOT NULL,
            plan TEXT NOT NULL,
            plan_digest TEXT NOT NULL,
            state TEXT NOT NULL,
            exit_code INTEGER,
            ended_at INTEGER,
            controller_host TEXT NOT NULL,
            controller_pid INTEGER NOT NULL,
            version TEXT NOT NULL
        );
        CREATE TABLE step (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL REFERENCES run(id),
            step TEXT NOT NULL,
            host TEXT,
            attempt INTEGER NOT NULL CHECK (attempt >= 1),
            kind TEXT NOT NULL,
            status TEXT,
            message TEXT NOT NULL,
            remedy TEXT,
            "values" TEXT NOT NULL,
            at INTEGER NOT NULL
        );
        CREATE INDEX step_of_run ON step(run, sequence);
        CREATE TABLE fact (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT,
            run TEXT NOT NULL REFERENCES run(id),
            name TEXT NOT NULL,
            value TEXT NOT NULL,
            at INTEGER NOT NULL
        );
        CREATE INDEX fact_of_run ON fact(run, name, sequence);
        CREATE TRIGGER step_is_kept BEFORE UPDATE ON step BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
        CREATE TRIGGER step_stays BEFORE DELETE ON step BEGIN SELECT RAISE(ABORT, 'steps are append-only'); END;
        CREATE TRIGGER fact_is_kept BEFORE UPDATE ON fact BEGIN SELECT RAISE(ABORT, 'facts are append-only'); END;
        CREATE TRIGGER fact_stays BEFORE DELETE ON fact BEGIN SELECT RAISE(ABORT, 'facts are append-only'); END;
        """
}

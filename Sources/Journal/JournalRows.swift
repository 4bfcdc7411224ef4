// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB

// Rows become records only when they fulfil what was checked before they were written.

extension RunRecord {
    init(row: Row) throws {
        let reader = RowReader(row, "run \(row["id"] as String? ?? "without an id")")
        self.init(
            id: try reader.text("id"),
            createdAt: try reader.date("created_at"),
            playbookPath: try reader.text("playbook_path"),
            inventoryPaths: try reader.json("inventory_paths"),
            limit: try reader.optional("host_limit"),
            extraVariablesJSON: try reader.text("extra_variables"),
            planJSON: try reader.text("plan"),
            planDigest: try reader.text("plan_digest"),
            state: try reader.word("state"),
            exitCode: try reader.optional("exit_code"),
            endedAt: try (reader.optional("ended_at") as Int64?).map(JournalTime.date),
            controllerHost: try reader.text("controller_host"),
            controllerPID: try reader.required("controller_pid"),
            version: try reader.text("version")
        )
        try reader.check(problem)
    }
}

extension StepRecord {
    init(row: Row) throws {
        let reader = RowReader(row, "step record \(row["sequence"] as Int64? ?? 0)")
        let status: String? = try reader.optional("status")
        self.init(
            sequence: try reader.required("sequence"),
            run: try reader.text("run"),
            step: try reader.text("step"),
            host: try reader.optional("host"),
            attempt: try reader.required("attempt"),
            kind: try reader.word("kind"),
            status: try status.map { _ in try reader.word("status") },
            message: try reader.text("message"),
            remedy: try reader.optional("remedy"),
            values: try reader.json("values"),
            at: try reader.date("at")
        )
        try reader.check(problem)
    }
}

extension FactRecord {
    init(row: Row) throws {
        let reader = RowReader(row, "fact \(row["sequence"] as Int64? ?? 0)")
        self.init(
            run: try reader.text("run"),
            name: try reader.text("name"),
            value: try reader.text("value"),
            at: try reader.date("at")
        )
        try reader.check(problem)
    }
}

/// Takes the columns of a row, and says which row has a wrong one.
private struct RowReader {
    let row: Row
    let name: String

    init(_ row: Row, _ name: String) {
        self.row = row
        self.name = name
    }

    /// A column that may be null; SQLite's columns hold any type, whatever was declared.
    func optional<Value: DatabaseValueConvertible>(_ column: String) throws -> Value? {
        guard row.hasColumn(column) else { throw damage("has no column \(column)") }
        let stored: DatabaseValue = row[column]
        if stored.isNull { return nil }
        guard let value = Value.fromDatabaseValue(stored) else { throw damage("has a wrong \(column)") }
        return value
    }

    func required<Value: DatabaseValueConvertible>(_ column: String) throws -> Value {
        guard let value: Value = try optional(column) else { throw damage("has no \(column)") }
        return value
    }

    func text(_ column: String) throws -> String { try required(column) }

    func date(_ column: String) throws -> Date { JournalTime.date(try required(column) as Int64) }

    func word<Word: RawRepresentable<String>>(_ column: String) throws -> Word {
        guard let word = Word(rawValue: try text(column)) else { throw damage("has an unknown \(column)") }
        return word
    }

    func json<Value: Decodable>(_ column: String) throws -> Value {
        let text = try text(column)
        do {
            return try JournalExport.decoder.decode(Value.self, from: Data(text.utf8))
        } catch {
            throw damage("has a wrong \(column)")
        }
    }

    func check(_ problem: String?) throws {
        if let problem { throw damage("makes no sense: \(problem)") }
    }

    private func damage(_ what: String) -> JournalError {
        JournalError(.corrupt, "the journal is damaged: \(name) \(what)", remedy: JournalSchema.damaged)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB

extension SQLiteRunStore {
    package func create(_ run: RunRecord) async throws(JournalError) {
        let run = run.normalized()
        try Self.check(run.problem)
        let row = try Self.row(of: run)
        try await write { try $0.execute(sql: Self.insertRun, arguments: row) }
    }

    package func adopt(
        _ run: RunRecord,
        records: [StepRecord],
        facts: [FactRecord]
    ) async throws(JournalError) {
        let run = run.normalized()
        let records = records.map { $0.normalized() }
        let facts = facts.map { $0.normalized() }
        try Self.check(AdoptionRules.problem(run, records, facts))
        let row = try Self.row(of: run)
        var steps: [StatementArguments] = []
        for record in records { steps.append(try Self.row(of: record)) }
        let (stepRows, factRows) = (steps, facts.map(Self.row))
        // One transaction: a run that lacks its records would be begun anew.
        try await write { database in
            try database.execute(sql: Self.insertRun, arguments: row)
            for row in stepRows { try database.execute(sql: Self.insertStep, arguments: row) }
            for row in factRows { try database.execute(sql: Self.insertFact, arguments: row) }
        }
    }

    @discardableResult
    package func append(_ record: StepRecord, _ durability: Durability) async throws(JournalError) -> Int64 {
        let record = record.normalized()
        try Self.check(record.problem)
        let row = try Self.row(of: record)
        return try await write(durability, keeping: .record(record)) { database in
            try database.cachedStatement(sql: Self.insertStep).execute(arguments: row)
            return database.lastInsertedRowID
        }
    }

    package func records(of run: String) async throws(JournalError) -> [StepRecord] {
        try await read { database in
            _ = try Self.find(run, database)
            return try Self.records(of: run, beyond: 0, database)
        }
    }

    private static func records(of run: String, beyond count: Int, _ database: Database) throws -> [StepRecord] {
        try Row.fetchAll(
            database.cachedStatement(
                sql: "SELECT * FROM step WHERE run = ? ORDER BY sequence LIMIT -1 OFFSET ?"
            ),
            arguments: [run, count]
        )
        .map { try StepRecord(row: $0) }
    }

    package func setState(
        of run: String,
        _ state: RunState,
        exitCode: Int32?,
        at: Date
    ) async throws(JournalError) {
        let content = UnwrittenRecord.State(run: run, state: state, exitCode: exitCode)
        try await write(keeping: .state(content)) { database in
            var record = try Self.find(run, database)
            record.state = state
            record.exitCode = exitCode
            record.endedAt = state == .running ? nil : JournalTime.rounded(at)
            try Self.check(record.problem)
            try database.execute(
                sql: "UPDATE run SET state = ?, exit_code = ?, ended_at = ? WHERE id = ?",
                arguments: [state.rawValue, exitCode, record.endedAt.map(JournalTime.milliseconds), run]
            )
        }
    }

    package func setController(
        of run: String,
        host: String,
        pid: Int32,
        version: String
    ) async throws(JournalError) {
        try await write { database in
            var record = try Self.find(run, database)
            record.controllerHost = host
            record.controllerPID = pid
            record.version = version
            try Self.check(record.problem)
            try database.execute(
                sql: "UPDATE run SET controller_host = ?, controller_pid = ?, version = ? WHERE id = ?",
                arguments: [host, pid, version, run]
            )
        }
    }

    package func runs() async throws(JournalError) -> [RunRecord] {
        try await read { database in
            try Row.fetchAll(database, sql: "SELECT * FROM run ORDER BY created_at DESC, number DESC")
                .map { try RunRecord(row: $0) }
        }
    }

    package func run(_ idOrPrefix: String) async throws(JournalError) -> RunRecord {
        try await read { database in
            // Not LIKE: '_' is a letter of ids.
            let matches = try String.fetchAll(
                database,
                sql: "SELECT id FROM run WHERE substr(id, 1, length(?1)) = ?1",
                arguments: [idOrPrefix]
            )
            return try Self.find(RunSearch.pick(idOrPrefix, among: matches), database)
        }
    }

    package func latestRun(in states: Set<RunState>) async throws(JournalError) -> RunRecord? {
        try await runs().first { states.contains($0.state) }
    }

    package func recordFact(_ fact: FactRecord, _ durability: Durability) async throws(JournalError) {
        let fact = fact.normalized()
        try Self.check(fact.problem)
        try await write(durability, keeping: .fact(fact)) {
            try $0.cachedStatement(sql: Self.insertFact).execute(arguments: Self.row(of: fact))
        }
    }

    package func fact(_ name: String, of run: String) async throws(JournalError) -> String? {
        try await read { database in
            try Self.requireRun(run, database)
            return try String.fetchOne(
                database,
                sql: "SELECT value FROM fact WHERE run = ? AND name = ? ORDER BY sequence DESC LIMIT 1",
                arguments: [run, name]
            )
        }
    }

    package func factHistory(of run: String) async throws(JournalError) -> [FactRecord] {
        try await read { database in
            _ = try Self.find(run, database)
            return try Self.facts(of: run, beyond: 0, database)
        }
    }

    private static func facts(of run: String, beyond count: Int, _ database: Database) throws -> [FactRecord] {
        try Row.fetchAll(
            database.cachedStatement(
                sql: "SELECT * FROM fact WHERE run = ? ORDER BY sequence LIMIT -1 OFFSET ?"
            ),
            arguments: [run, count]
        )
        .map { try FactRecord(row: $0) }
    }

    package func log(of run: String, beyond extent: ReplicaExtent) async throws(JournalError) -> RunLog {
        try await read { database in
            try Self.requireRun(run, database)
            return RunLog(
                records: try Self.records(of: run, beyond: extent.records, database),
                facts: try Self.facts(of: run, beyond: extent.facts, database),
                from: extent
            )
        }
    }

    // MARK: - Rows

    private static let insertRun = """
        INSERT INTO run (id, created_at, playbook_path, inventory_paths, host_limit, extra_variables, plan,
            plan_digest, state, exit_code, ended_at, controller_host, controller_pid, version)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """

    private static let insertStep = """
        INSERT INTO step (run, step, host, attempt, kind, status, message, remedy, "values", at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """

    private static let insertFact = "INSERT INTO fact (run, name, value, at) VALUES (?, ?, ?, ?)"

    private static func row(of run: RunRecord) throws(JournalError) -> StatementArguments {
        [
            run.id, JournalTime.milliseconds(run.createdAt), run.playbookPath, try json(run.inventoryPaths), run.limit,
            run.extraVariablesJSON, run.planJSON, run.planDigest, run.state.rawValue, run.exitCode,
            run.endedAt.map(JournalTime.milliseconds), run.controllerHost, run.controllerPID, run.version,
        ]
    }

    private static func row(of record: StepRecord) throws(JournalError) -> StatementArguments {
        [
            record.run, record.step, record.host, record.attempt, record.kind.rawValue, record.status?.rawValue,
            record.message, record.remedy, try json(record.values), JournalTime.milliseconds(record.at),
        ]
    }

    private static func row(of fact: FactRecord) -> StatementArguments {
        [fact.run, fact.name, fact.value, JournalTime.milliseconds(fact.at)]
    }

    // MARK: - Private

    private static func check(_ problem: String?) throws(JournalError) {
        if let problem { throw JournalError(.invalid, "not written: \(problem)") }
    }

    private static func find(_ run: String, _ database: Database) throws -> RunRecord {
        let row = try Row.fetchOne(database, sql: "SELECT * FROM run WHERE id = ?", arguments: [run])
        guard let row else { throw unknown(run) }
        return try RunRecord(row: row)
    }

    /// For what is read in front of every step: the run itself, whose plan is long, was looked at when it began.
    private static func requireRun(_ run: String, _ database: Database) throws {
        let statement = try database.cachedStatement(sql: "SELECT 1 FROM run WHERE id = ?")
        guard try Int.fetchOne(statement, arguments: [run]) != nil else { throw unknown(run) }
    }

    private static func unknown(_ run: String) -> JournalError {
        JournalError(.unknownRun, "there is no run '\(run)'", remedy: "see 'pawl runs'")
    }

    private static func json(_ value: some Encodable) throws(JournalError) -> String {
        do {
            return String(decoding: try JournalExport.encoder.encode(value), as: UTF8.self)
        } catch {
            throw JournalError(.invalid, "not written: \(error)")
        }
    }
}

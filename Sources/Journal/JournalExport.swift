// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A run with everything that is known of it, as JSON: for a report, for another machine, for an archive.
package struct JournalExport: Hashable, Sendable, Codable {
    /// Says what the file is.
    package static let format = "pawl-journal"
    package static let formatVersion = 1

    package var format: String
    package var formatVersion: Int
    package var run: RunRecord
    package var records: [StepRecord]
    /// In the order in which they were recorded, earlier values too.
    package var facts: [FactRecord]

    /// Takes a run out of a store.
    package init(_ run: String, from store: some RunStore) async throws(JournalError) {
        format = Self.format
        formatVersion = Self.formatVersion
        self.run = try await store.run(run)
        records = try await store.records(of: self.run.id)
        facts = try await store.factHistory(of: self.run.id)
    }

    init(format: String, formatVersion: Int, run: RunRecord, records: [StepRecord], facts: [FactRecord]) {
        self.format = format
        self.formatVersion = formatVersion
        self.run = run
        self.records = records
        self.facts = facts
    }

    /// Reads what ``json()`` wrote.
    package init(json: Data) throws(JournalError) {
        do {
            self = try Self.decoder.decode(JournalExport.self, from: json)
        } catch {
            throw JournalError(.corrupt, "this is no export of a journal: \(error)")
        }
        try check()
    }

    /// Refuses what no store would have written.
    func check() throws(JournalError) {
        guard format == Self.format else { throw JournalError(.foreign, "this is no export of a journal") }
        guard formatVersion <= Self.formatVersion else {
            throw JournalError(.newer, "the export was written by a later version of pawl (form \(formatVersion))")
        }
        let problems = [run.problem] + records.map(\.problem) + facts.map(\.problem)
        if let problem = problems.compactMap(\.self).first {
            throw JournalError(.corrupt, "the export makes no sense: \(problem)")
        }
        guard records.allSatisfy({ $0.run == run.id }), facts.allSatisfy({ $0.run == run.id }) else {
            throw JournalError(.corrupt, "the export mixes several runs")
        }
    }

    /// JSON with sorted keys, so that the same run gives the same bytes.
    package func json() throws(JournalError) -> Data {
        do {
            return try Self.encoder.encode(self)
        } catch {
            throw JournalError(.invalid, "the run cannot be exported: \(error)")
        }
    }

    /// Puts the run into another store, which gives the records sequences of its own.
    package func restore(into store: some RunStore) async throws(JournalError) {
        try await store.adopt(run, records: records, facts: facts)
    }

    static let encoder: JSONEncoder = {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            try container.encode(JournalTime.text(date))
        }
        return encoder
    }()

    static let decoder: JSONDecoder = {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            let text = try container.decode(String.self)
            guard let date = JournalTime.date(text) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is no time")
            }
            return date
        }
        return decoder
    }()
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

extension JournalExport {
    /// One line of the export: an object with one of these keys, beside the first line's form.
    private struct Line: Codable {
        var format: String?
        var formatVersion: Int?
        var run: RunRecord?
        var record: StepRecord?
        var fact: FactRecord?
    }

    /// JSON Lines: the run first, then its records, then its facts, each in the order in which they were written.
    ///
    /// The same run gives the same bytes. docs/design/journal.md says what the keys mean.
    package func lines() throws(JournalError) -> Data {
        var lines = [Line(format: format, formatVersion: formatVersion, run: run)]
        lines += records.map { Line(record: $0) }
        lines += facts.map { Line(fact: $0) }
        do {
            return try lines.reduce(into: Data()) { text, line in
                text += try Self.encoder.encode(line) + Data("\n".utf8)
            }
        } catch {
            throw JournalError(.invalid, "the run cannot be exported: \(error)")
        }
    }

    /// Reads what ``lines()`` wrote, and checks it as ``init(json:)`` does.
    package init(lines text: Data) throws(JournalError) {
        let lines: [Line]
        do {
            lines = try text.split(separator: UInt8(ascii: "\n")).map { try Self.decoder.decode(Line.self, from: $0) }
        } catch {
            throw JournalError(.corrupt, "this is no export of a journal: \(error)")
        }
        guard let first = lines.first, let format = first.format, let version = first.formatVersion, let run = first.run
        else { throw JournalError(.corrupt, "this is no export of a journal: its first line names no run") }
        self.init(
            format: format,
            formatVersion: version,
            run: run,
            records: lines.compactMap(\.record),
            facts: lines.compactMap(\.fact)
        )
        try check()
        guard lines.count == 1 + records.count + facts.count else {
            throw JournalError(.corrupt, "the export has lines that are neither a record nor a fact")
        }
    }
}

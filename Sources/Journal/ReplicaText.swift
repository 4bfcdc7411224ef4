// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A replica as lines of JSON: what it is, what never changes, and what came since.
///
///     {"replica":{"format":1,"run":"…"}}
///     {"base":"…"}                            the run and its playbook, packed
///     {"entry":{… "log":"…"}}                 why it was written, and the records and facts since the line before
///     {"ended":0}                             the exit code of the entry's command
///
/// An entry is appended and flushed before its command is begun, so a last line that is cut short is of a command that
/// was not begun, and does not count. Everything else that is not as it was written is damage.
package enum ReplicaText {
    static let format = 1
    /// What a node's file may hold.
    package static let mostBytes = 16 << 20
    private static let mostUnpacked = 64 << 20

    private struct Line: Codable {
        var replica: Header?
        var base: String?
        var entry: EntryLine?
        var ended: Int?
    }

    private struct Header: Codable {
        var format: Int
        var run: String
    }

    private struct Base: Codable {
        var run: RunRecord
        var playbook: String
    }

    private struct EntryLine: Codable {
        var at: Date
        var attempt: Int?
        /// What the replica holds with this line.
        var extent: ReplicaExtent
        var log: String
        var occasion: RunReplica.Occasion
        var step: String?
        var writer: RunReplica.Writer
    }

    private struct Log: Codable {
        var records: [StepRecord]
        var facts: [FactRecord]
    }

    // MARK: - Writing

    /// The first line, by which a shell on the node knows whose replica it is; without a newline.
    package static func header(_ run: String) throws(JournalError) -> String {
        String(try line(Line(replica: Header(format: format, run: run))).dropLast())
    }

    /// The first lines of a replica, which do not change as the run goes on.
    package static func opening(_ run: RunRecord, playbook: String) throws(JournalError) -> String {
        let base = Base(run: run.normalized(), playbook: playbook)
        return try header(run.id) + "\n" + line(Line(base: try packed(base)))
    }

    /// The line of one entry, with what the journal has beyond what the node has.
    ///
    /// - Parameters:
    ///   - entry: why it is written.
    ///   - new: begins where what the node has ends.
    /// - Returns: the line, with its newline.
    /// - Throws: `invalid` when it would be too long.
    package static func entry(
        _ entry: RunReplica.Entry,
        _ new: RunLog
    ) throws(JournalError) -> String {
        let log = Log(
            records: RunReplica.renumbered(new.records, after: new.start.records),
            facts: new.facts.map { $0.normalized() }
        )
        return try line(
            Line(
                entry: EntryLine(
                    at: entry.at,
                    attempt: entry.attempt,
                    extent: new.end,
                    log: try packed(log),
                    occasion: entry.occasion,
                    step: entry.step,
                    writer: entry.writer
                )
            )
        )
    }

    /// Shell that appends the end of the entry's command to a file; the code is a shell word.
    package static func endingShell(code: String, file: String) -> String {
        "printf '{\"ended\":%d}\\n' \(code) >>\(file)"
    }

    static func line(_ value: some Encodable) throws(JournalError) -> String {
        do {
            return String(decoding: try JournalExport.encoder.encode(value), as: UTF8.self) + "\n"
        } catch {
            throw JournalError(.invalid, "the run cannot be written for a node: \(error)")
        }
    }

    private static func packed(_ value: some Encodable) throws(JournalError) -> String {
        do {
            let data = try JournalExport.encoder.encode(value)
            guard data.count <= mostUnpacked else {
                throw Gzip.Problem(words: "it is \(data.count) bytes long, the most is \(mostUnpacked)")
            }
            return try Gzip.pack(data)
        } catch let problem as Gzip.Problem {
            throw JournalError(.invalid, "the run cannot be written for a node: \(problem.words)")
        } catch {
            throw JournalError(.invalid, "the run cannot be written for a node: \(error)")
        }
    }

    // MARK: - Reading

    /// The whole of a replica as its opening and one entry.
    package static func text(of replica: RunReplica) throws(JournalError) -> String {
        try opening(replica.run, playbook: replica.playbook)
            + entry(replica.entry, RunLog(records: replica.records, facts: replica.facts))
            + (replica.exitCode.map { "{\"ended\":\($0)}\n" } ?? "")
    }

    /// Reads what a node has.
    ///
    /// - Throws: `newer` for a later form, `corrupt` for what is cut short or changed.
    package static func read(_ bytes: [UInt8]) throws(JournalError) -> RunReplica {
        guard bytes.count <= mostBytes else { throw corrupt("it is longer than \(mostBytes) bytes") }
        // What stands behind the last newline is a line that was being written; for a whole file it is empty.
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        guard let first = lines.popFirst() else { throw corrupt("it is cut short") }
        try checkFormat(first, of: format, what: "replica")
        guard let header = try value(first, "its first line", of: Line.self).replica else {
            throw corrupt("its first line is not that of a replica")
        }
        guard let second = lines.popFirst(), let packed = try value(second, "its base", of: Line.self).base else {
            throw corrupt("it is cut short behind its first line")
        }
        let base: Base = try unpacked(packed, "its base")
        guard base.run.id == header.run, base.run.problem == nil else { throw corrupt("its run makes no sense") }
        var reading = Reading()
        for line in lines { try reading.take(line) }
        guard let entry = reading.entry else { throw corrupt("it is cut short behind its base") }
        try reading.check(header.run)
        return RunReplica(
            run: base.run,
            playbook: base.playbook,
            records: reading.records,
            facts: reading.facts,
            entry: entry,
            exitCode: reading.exitCode
        )
    }

    /// What the lines behind the base have said so far.
    private struct Reading {
        var records: [StepRecord] = []
        var facts: [FactRecord] = []
        var entry: RunReplica.Entry?
        var exitCode: Int?

        mutating func take(_ bytes: ArraySlice<UInt8>) throws(JournalError) {
            let line = try ReplicaText.value(bytes, "one of its lines", of: Line.self)
            if let code = line.ended, entry != nil {
                exitCode = code
                return
            }
            guard let found = line.entry else { throw ReplicaText.corrupt("a line is out of its place") }
            let log: Log = try ReplicaText.unpacked(found.log, "an entry")
            records += log.records
            facts += log.facts
            guard found.extent == ReplicaExtent(records: records.count, facts: facts.count) else {
                throw ReplicaText.corrupt("an entry is missing in it")
            }
            let isOfStep = found.occasion == .performing || found.occasion == .undoing
            guard isOfStep == (found.step != nil), isOfStep == (found.attempt != nil) else {
                throw ReplicaText.corrupt("an entry names no step, or one too many")
            }
            exitCode = nil
            entry = RunReplica.Entry(
                found.occasion,
                step: found.step,
                attempt: found.attempt,
                at: found.at,
                writer: found.writer
            )
        }

        func check(_ run: String) throws(JournalError) {
            let problems = records.map(\.problem) + facts.map(\.problem)
            if let problem = problems.compactMap(\.self).first { throw ReplicaText.corrupt(problem) }
            guard records.allSatisfy({ $0.run == run }), facts.allSatisfy({ $0.run == run }) else {
                throw ReplicaText.corrupt("it mixes several runs")
            }
            guard records.map(\.sequence) == Array(1...Int64(records.count + 1)).dropLast() else {
                throw ReplicaText.corrupt("its records are out of order")
            }
        }
    }

    /// A later form may look otherwise in everything but its format.
    static func checkFormat(_ line: ArraySlice<UInt8>, of known: Int, what: String) throws(JournalError) {
        struct Loose: Decodable {
            struct Header: Decodable { var format: Int? }
            var format: Int?
            var replica: Header?
        }
        guard let loose = try? JSONDecoder().decode(Loose.self, from: Data(line)),
            let found = loose.format ?? loose.replica?.format
        else { throw corrupt("it does not begin as a \(what) does") }
        guard found <= known else {
            throw JournalError(
                .newer,
                "it was written by a later version of pawl (form \(found), this one knows \(known))",
                remedy: "use that version"
            )
        }
        guard found == known else { throw corrupt("it has the form \(found)") }
    }

    /// A line exactly as it was written: what is read must give the same bytes again.
    static func value<Value: Codable>(
        _ bytes: ArraySlice<UInt8>,
        _ what: String,
        of type: Value.Type = Value.self
    ) throws(JournalError) -> Value {
        guard let value = try? JournalExport.decoder.decode(Value.self, from: Data(bytes)),
            try line(value).utf8.dropLast().elementsEqual(bytes)
        else { throw corrupt("\(what) is damaged") }
        return value
    }

    private static func unpacked<Value: Decodable>(_ text: String, _ what: String) throws(JournalError) -> Value {
        do {
            let data = try Gzip.unpack(text, most: mostUnpacked)
            return try JournalExport.decoder.decode(Value.self, from: data)
        } catch let problem as Gzip.Problem {
            throw corrupt("\(what): \(problem.words)")
        } catch {
            throw corrupt("\(what) is damaged")
        }
    }

    static func corrupt(_ words: String) -> JournalError { JournalError(.corrupt, words) }
}

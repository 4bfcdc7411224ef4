// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A run as a node carries it: all that is needed to show it, and to go on with it where its journal is not.
///
/// It is the journal as it was when the last command that changes something was begun on that node; see
/// docs/design/journal.md for its form there.
package struct RunReplica: Hashable, Sendable {
    /// Who wrote it: the controller's machine and process.
    package struct Writer: Hashable, Sendable, Codable, CustomStringConvertible {
        package var host: String
        package var pid: Int32
        package var version: String

        package init(host: String, pid: Int32, version: String) {
            self.host = host
            self.pid = pid
            self.version = version
        }

        package var description: String { "process \(pid) on \(host)" }
    }

    /// Why it was written.
    package enum Occasion: String, Sendable, Codable, CaseIterable {
        /// A step is about to change the node, or it did.
        case performing
        /// The same of a step that is being taken back.
        case undoing
        /// The run stopped there.
        case halted, interrupted
    }

    /// One writing of it.
    package struct Entry: Hashable, Sendable {
        package var occasion: Occasion
        /// `nil` where the run stopped.
        package var step: String?
        /// `nil` where the run stopped.
        package var attempt: Int?
        package var at: Date
        package var writer: Writer

        package init(_ occasion: Occasion, step: String? = nil, attempt: Int? = nil, at: Date, writer: Writer) {
            self.occasion = occasion
            self.step = step
            self.attempt = attempt
            self.at = JournalTime.rounded(at)
            self.writer = writer
        }
    }

    /// The run as it was begun; `extraVariablesJSON` needs no file of the first machine.
    package var run: RunRecord
    /// The playbook's text.
    package var playbook: String
    /// With sequences from 1 on, because those of a store are its own.
    package var records: [StepRecord]
    package var facts: [FactRecord]
    package var entry: Entry
    /// How the entry's last command ended; `nil` while nobody saw its end.
    package var exitCode: Int?

    package init(
        run: RunRecord,
        playbook: String,
        records: [StepRecord],
        facts: [FactRecord],
        entry: Entry,
        exitCode: Int? = nil
    ) {
        self.run = run.normalized()
        self.playbook = playbook
        self.records = Self.renumbered(records)
        self.facts = facts.map { $0.normalized() }
        self.entry = entry
        self.exitCode = exitCode
    }

    /// How much of the journal it holds.
    package var extent: ReplicaExtent { ReplicaExtent(records: records.count, facts: facts.count) }

    /// Records as a replica has them, which has so many before them.
    package static func renumbered(_ records: [StepRecord], after count: Int = 0) -> [StepRecord] {
        records.enumerated().map { index, record in
            var record = record.normalized()
            record.sequence = Int64(count + index + 1)
            return record
        }
    }
}

/// How many records and facts of a run something holds; both only ever grow.
package struct ReplicaExtent: Hashable, Sendable, Codable, CustomStringConvertible {
    package var records: Int
    package var facts: Int

    package init(records: Int, facts: Int) {
        self.records = records
        self.facts = facts
    }

    /// What grows with each record and each fact, on whatever node it is written.
    package var sequence: Int { records + facts }

    package var description: String { "\(records) records and \(facts) facts" }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal

/// What this controller has put on the nodes of its run, and the text that comes next.
///
/// A node gets the whole replica with its first change, and from then on what is new; after anything that did not end as
/// it should, nobody knows what the node has, and it gets the whole again.
actor ReplicaLedger {
    /// Where a replica is: the state directory of a node is another for each user.
    struct Place: Hashable, Sendable {
        var host: String
        /// Whether commands are elevated there.
        var become: Bool
    }

    /// The text for a node.
    enum Text: Sendable {
        case whole(String)
        /// What is to be appended to what the node is known to have.
        case more(String)
    }

    private static let nothing = ReplicaExtent(records: 0, facts: 0)

    let run: String
    /// The first line of this run's replicas.
    nonisolated let header: String
    private let store: any RunStore
    private let opening: String
    private let writer: RunReplica.Writer
    private var known: [Place: ReplicaExtent] = [:]
    private var underway: [Place: ReplicaExtent] = [:]
    /// Whether a node was, or may have been, given anything.
    private(set) var hasWritten = false

    init(
        _ record: RunRecord,
        playbook: String,
        store: any RunStore,
        writer: RunReplica.Writer
    ) throws(JournalError) {
        run = record.id
        header = try ReplicaText.header(record.id)
        opening = try ReplicaText.opening(record, playbook: playbook)
        self.store = store
        self.writer = writer
    }

    /// What is to be on a node before a command of this step is begun.
    ///
    /// Until ``confirm(_:)`` it is not known whether the node has it.
    func text(
        for place: Place,
        _ occasion: RunReplica.Occasion,
        step: String,
        attempt: Int
    ) async throws(JournalError) -> Text {
        hasWritten = true
        let before = known.removeValue(forKey: place)
        let entry = RunReplica.Entry(occasion, step: step, attempt: attempt, at: Date(), writer: writer)
        let new = try await store.log(of: run, beyond: before ?? Self.nothing)
        underway[place] = new.end
        let line = try ReplicaText.entry(entry, new)
        return before == nil ? .whole(opening + line) : .more(line)
    }

    /// The command was begun behind its text, and its end was seen.
    func confirm(_ place: Place) {
        if let extent = underway.removeValue(forKey: place) { known[place] = extent }
    }

    /// The whole run as it stands, for a node on which nothing is being done.
    func standing(_ occasion: RunReplica.Occasion) async throws(JournalError) -> String {
        let entry = RunReplica.Entry(occasion, at: Date(), writer: writer)
        return try opening + ReplicaText.entry(entry, await store.log(of: run, beyond: Self.nothing))
    }

    /// What is left on a node of a run that has ended.
    func marker(_ state: RunState, playbook: String, planDigest: String) async throws(JournalError) -> RunMarker {
        RunMarker(
            run: run,
            state: state,
            playbook: playbook,
            planDigest: planDigest,
            at: Date(),
            writer: writer,
            extent: try await store.log(of: run, beyond: Self.nothing).end
        )
    }
}

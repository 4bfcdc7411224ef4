// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What an ended run leaves on a node: which run it was and how it ended, and nothing to go on with.
package struct RunMarker: Hashable, Sendable, Codable {
    package static let format = 1
    /// Far above any marker.
    static let mostBytes = 64 << 10

    package var format: Int
    package var run: String
    /// Not one that can be resumed.
    package var state: RunState
    package var playbook: String
    package var planDigest: String
    package var at: Date
    package var writer: RunReplica.Writer
    /// How much of the journal there was at the end.
    package var extent: ReplicaExtent
    /// Why a run was given up, in the operator's words or pawl's.
    package var reason: String?

    package init(
        run: String,
        state: RunState,
        playbook: String,
        planDigest: String,
        at: Date,
        writer: RunReplica.Writer,
        extent: ReplicaExtent,
        reason: String? = nil
    ) {
        format = Self.format
        self.run = run
        self.state = state
        self.playbook = playbook
        self.planDigest = planDigest
        self.at = JournalTime.rounded(at)
        self.writer = writer
        self.extent = extent
        self.reason = reason
    }

    /// One line of JSON, with its newline.
    package func text() throws(JournalError) -> String { try ReplicaText.line(self) }

    /// Reads what ``text()`` wrote, and nothing else.
    package init(text: [UInt8]) throws(JournalError) {
        guard text.count <= Self.mostBytes else { throw ReplicaText.corrupt("it is too long for a marker") }
        try ReplicaText.checkFormat(text.dropLast(), of: Self.format, what: "marker")
        guard text.last == UInt8(ascii: "\n") else { throw ReplicaText.corrupt("it is cut short") }
        self = try ReplicaText.value(text.dropLast(), "a marker")
        guard RunRecord.isID(run), state.isEnded, extent.records >= 0, extent.facts >= 0 else {
            throw ReplicaText.corrupt("it makes no sense as a marker")
        }
    }
}

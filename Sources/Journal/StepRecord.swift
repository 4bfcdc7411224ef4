// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of the journal about one step: what is about to be tried, or how it ended.
package struct StepRecord: Hashable, Sendable, Codable {
    package enum Kind: String, Sendable, Codable, CaseIterable {
        /// Written before the effect.
        case intent
        /// Written after it.
        case outcome
        case undoIntent = "undo_intent"
        case undoOutcome = "undo_outcome"
        /// What was found on a node. A later controller looks again instead of believing it.
        case observation
    }

    package enum Status: String, Sendable, Codable, CaseIterable {
        case done
        /// Found to be done already.
        case skipped
        case failed
        case inDoubt = "in_doubt"
        case undone
        case notBegun = "not_begun"
    }

    /// The place in the journal, over all runs; assigned when the record is appended.
    package var sequence: Int64
    package var run: String
    /// The step's id, as `steps.3/n1`.
    package var step: String
    /// `nil` for a step that looks at all hosts at once.
    package var host: String?
    /// 1 for the first time that the step is tried in its run.
    package var attempt: Int
    package var kind: Kind
    /// `nil` for an intent.
    package var status: Status?
    package var message: String
    package var remedy: String?
    /// Named values of the evidence; none is a secret.
    package var values: [String: String]
    package var at: Date

    package init(
        sequence: Int64 = 0,
        run: String,
        step: String,
        host: String? = nil,
        attempt: Int = 1,
        kind: Kind,
        status: Status? = nil,
        message: String = "",
        remedy: String? = nil,
        values: [String: String] = [:],
        at: Date
    ) {
        self.sequence = sequence
        self.run = run
        self.step = step
        self.host = host
        self.attempt = attempt
        self.kind = kind
        self.status = status
        self.message = message
        self.remedy = remedy
        self.values = values
        self.at = at
    }
}

/// A value of a run that outlives its step: a baseline fingerprint, a backup's path.
package struct FactRecord: Hashable, Sendable, Codable {
    package var run: String
    package var name: String
    package var value: String
    package var at: Date

    package init(run: String, name: String, value: String, at: Date) {
        self.run = run
        self.name = name
        self.value = value
        self.at = at
    }
}

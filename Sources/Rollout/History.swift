// SPDX-License-Identifier: Apache-2.0

/// One line of a journal as the machine reads it when a run is resumed.
package struct HistoryEntry: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case intent
        case outcome(Outcome)
        case undoIntent
        case undoOutcome(Outcome)
    }

    package var step: StepID
    package var attempt: Int
    package var kind: Kind

    package init(step: StepID, attempt: Int, kind: Kind) {
        self.step = step
        self.attempt = attempt
        self.kind = kind
    }
}

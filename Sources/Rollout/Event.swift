// SPDX-License-Identifier: Apache-2.0

/// What the rollout machine is told.
package enum Event: Hashable, Sendable {
    /// The first event: go.
    case begin
    case quorumObserved(StepID, Quorum)
    case intentRecorded(StepID)
    case ended(StepID, Outcome)
    case outcomeRecorded(StepID)
    /// What was found of a step's work, after a resume.
    case observed(StepID, Finding)
    case undoIntentRecorded(StepID)
    case undoEnded(StepID, Outcome)
    case undoOutcomeRecorded(StepID)
    /// SIGINT or SIGTERM: come to a safe point and stop.
    case interrupted
    /// The second signal: stop waiting. What runs stays in doubt.
    case abandoned
    /// Nothing can be recorded any more, so nothing more may be changed.
    case journalFailed(String)

    /// What the node shows of a step.
    package enum Finding: Hashable, Sendable {
        case done
        case notBegun(String)
        case inDoubt(String)
        /// The node could not be asked.
        case unseen(String)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Where one step of a plan stands.
enum StepState: Hashable, Sendable {
    case pending
    case awaitingQuorum
    case recordingIntent
    case running
    case recordingOutcome(Outcome)
    /// The intent is on record, and the run began to halt before the effect: the step is taken off the record.
    case withdrawing
    case done
    case failed(Failure)
    case inDoubt(Failure)
    /// A resumed run looks at what the node shows of it.
    case observing
    /// Taking it back stops the member, which needs a proof like any other stop.
    case awaitingUndoQuorum
    case recordingUndoIntent
    case undoing
    case recordingUndoOutcome(Outcome)

    /// Whether an answer is awaited that will change the state.
    var isInFlight: Bool {
        switch self {
        case .pending, .done, .failed, .inDoubt: false
        default: true
        }
    }

    /// Whether the step may have changed its node and was not taken back.
    var isAttempted: Bool {
        switch self {
        case .pending, .awaitingQuorum, .recordingIntent, .withdrawing: false
        default: true
        }
    }

    var isUnresolved: Bool {
        switch self {
        case .failed, .inDoubt: true
        default: false
        }
    }
}

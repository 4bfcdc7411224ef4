// SPDX-License-Identifier: Apache-2.0

import Rollout

// Words for the trace, the same each time that a story is told.
extension Event {
    var text: String {
        switch self {
        case .begin: "begin"
        case .quorumObserved(let id, let quorum):
            "quorum for \(id): \(quorum.healthy.sorted()) of \(quorum.voters) healthy"
        case .intentRecorded(let id): "intent of \(id) is recorded"
        case .ended(let id, let outcome): "\(id) \(outcome.text)"
        case .outcomeRecorded(let id): "outcome of \(id) is recorded"
        case .observed(let id, .done): "\(id) is found done"
        case .observed(let id, .notBegun(let why)): "\(id) is found not begun: \(why)"
        case .observed(let id, .inDoubt(let why)): "\(id) is found in doubt: \(why)"
        case .observed(let id, .unseen(let why)): "\(id) is not seen: \(why)"
        case .undoIntentRecorded(let id): "intent to undo \(id) is recorded"
        case .undoEnded(let id, let outcome): "the undo of \(id) \(outcome.text)"
        case .undoOutcomeRecorded(let id): "outcome of the undo of \(id) is recorded"
        case .interrupted: "interrupted"
        case .abandoned: "abandoned"
        case .journalFailed(let why): "the journal cannot be written: \(why)"
        }
    }
}

extension Outcome {
    var text: String {
        switch self {
        case .succeeded: "succeeded"
        case .failed(let failure): "failed: \(failure.message)"
        case .inDoubt(let failure): "is in doubt: \(failure.message)"
        }
    }
}

extension HistoryEntry.Kind {
    var word: String {
        switch self {
        case .intent: "intent of"
        case .outcome(.succeeded): "done:"
        case .outcome(.failed): "failed:"
        case .outcome(.inDoubt): "in doubt:"
        case .undoIntent: "intent to undo"
        case .undoOutcome(.succeeded): "undone:"
        case .undoOutcome(.failed): "not undone:"
        case .undoOutcome(.inDoubt): "in doubt whether undone:"
        }
    }
}

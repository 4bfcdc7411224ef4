// SPDX-License-Identifier: Apache-2.0

/// What the rollout machine wants done.
///
/// The engine performs it and answers with an ``Event``, except for
/// ``enterStage(_:)``, ``announce(host:text:)`` and ``finish(_:)``, which have no answer.
package enum Directive: Hashable, Sendable {
    case enterStage(Stage)
    /// Something that must be on record before what follows: a quorum proof, what was decided on resume.
    case announce(host: String?, text: String)
    case observeQuorum(StepID)
    case recordIntent(StepID, attempt: Int)
    case perform(StepID, attempt: Int)
    case recordOutcome(StepID, attempt: Int, Outcome)
    case observe(StepID)
    case recordUndoIntent(StepID, attempt: Int)
    /// Each undo of a step has a number of its own, so that an earlier one is not taken for it.
    case undo(StepID, attempt: Int)
    case recordUndoOutcome(StepID, attempt: Int, Outcome)
    /// The last directive.
    case finish(Verdict)
}

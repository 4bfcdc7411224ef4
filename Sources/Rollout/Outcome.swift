// SPDX-License-Identifier: Apache-2.0

/// How a step, or the undoing of one, ended, as far as anybody saw.
package enum Outcome: Hashable, Sendable {
    /// The evidence was seen.
    case succeeded
    /// It is known to have failed.
    case failed(Failure)
    /// It was begun, and nobody saw its end.
    case inDoubt(Failure)

    package var failure: Failure? {
        switch self {
        case .succeeded: nil
        case .failed(let failure), .inDoubt(let failure): failure
        }
    }
}

/// Why a run does not go on: what happened, where, and what to do now.
package struct Failure: Hashable, Sendable {
    package var step: StepID?
    package var host: String?
    package var message: String
    package var remedy: String?
    /// The lock is lost, so nothing more may be changed, not even to put something back.
    package var isFenced: Bool

    package init(
        step: StepID? = nil,
        host: String? = nil,
        _ message: String,
        remedy: String? = nil,
        isFenced: Bool = false
    ) {
        self.step = step
        self.host = host
        self.message = message
        self.remedy = remedy
        self.isFenced = isFenced
    }
}

/// How a run ends.
package enum Verdict: Hashable, Sendable {
    /// Every step of the plan was done and proven.
    case done
    /// Nothing was changed: a check before the first change said no.
    case refused(Failure)
    /// At least one node was changed.
    case halted(Failure)
    /// The nodes are not as this run left them, and how to go on cannot be proven.
    case drifted(Failure)
    /// A person or a CI runner asked to stop.
    case interrupted

    /// The same end, where something was changed after all and not put back.
    var withChanges: Verdict {
        if case .refused(let failure) = self { .halted(failure) } else { self }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Actions
import Rollout

extension StepReport {
    init(_ ending: StepRunner.Ending, elapsed: Duration) {
        let failure = ending.outcome.failure
        self.init(
            status: Status(ending.outcome),
            message: failure?.message ?? ending.evidence?.summary ?? "",
            remedy: failure?.remedy,
            values: ending.evidence?.values ?? [:],
            elapsedSeconds: elapsed.seconds
        )
    }

    /// Of a step that was not performed now: found done on a resumed run, or withdrawn before its effect.
    static func found(_ outcome: Outcome) -> StepReport {
        StepReport(
            status: outcome == .succeeded ? .skipped : Status(outcome),
            message: outcome.failure?.message ?? "found done on the node",
            remedy: outcome.failure?.remedy,
            elapsedSeconds: 0
        )
    }
}

extension StepReport.Status {
    init(_ outcome: Outcome) {
        self =
            switch outcome {
            case .succeeded: .done
            case .failed: .failed
            case .inDoubt: .inDoubt
            }
    }
}

extension Duration {
    /// With a fraction.
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Rollout

/// A run that can be performed: new, or read from the journal with its inputs as they are now.
package struct OpenRun: Sendable {
    package var id: String
    package var plan: Plan
    package var play: Play
    package var request: RunRequest
    /// What the journal holds of it; empty for a new run.
    package var history: [HistoryEntry]

    /// Steps that an earlier part of the run has done.
    package var doneSteps: Set<StepID> {
        let machine = RolloutMachine(plan: plan, history: history)
        return Set(plan.steps.map(\.id).filter(machine.isDone))
    }

    var header: RunHeader {
        RunHeader(
            playbook: plan.name,
            inventory: request.inventory.paths.joined(separator: ", "),
            hosts: plan.hosts,
            stepCount: plan.steps.count,
            stepsDone: doneSteps.count,
            isResumed: !history.isEmpty
        )
    }
}

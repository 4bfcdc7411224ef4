// SPDX-License-Identifier: Apache-2.0

import Fleet
import Remote
import Rollout

/// A host as an action meets it: the way to it, already elevated where the playbook says `become`, and its variables.
package struct ActionTarget: Sendable {
    package var host: any RemoteHost
    /// Inventory, playbook and command line variables in Ansible's order of precedence.
    package var variables: [String: Value]

    package init(host: any RemoteHost, variables: [String: Value]) {
        self.host = host
        self.variables = variables
    }
}

/// Everything that an action may use while it runs.
package struct ActionContext: Sendable {
    /// The run's id.
    package var run: String
    package var step: StepID
    /// 1 for the first time that this step is tried in this run.
    package var attempt: Int
    /// The deadline of the whole step, from its start.
    package var timeout: Duration
    /// The host of the step; `nil` for an action of cluster scope.
    package var target: ActionTarget?
    /// All hosts of the play, in inventory order.
    package var cluster: [ActionTarget]
    /// Hosts whose `steps` are complete in this run.
    package var completedHosts: Set<String>
    /// Whether this run may have changed anything yet, on any host.
    package var hasChangedAnything = true
    /// Values that outlive the step: the baseline fingerprint, a backup's path.
    ///
    /// Kept in the journal.
    package var facts: any FactLedger
    /// Says what is going on, for the live view.
    ///
    /// One line, no secret.
    package var progress: @Sendable (String) -> Void
    /// Whether the plan has the step's work run as a job; its commands are then detached.
    package var isJob: Bool
    /// The path of the playbook, which files of this machine are named relative to.
    package var playbook = ""
    /// What the node shows of the step's job, when a resumed run looks at a step whose end nobody saw.
    package var job: JobState?

    package init(
        run: String,
        step: StepID,
        attempt: Int,
        timeout: Duration,
        target: ActionTarget?,
        cluster: [ActionTarget],
        completedHosts: Set<String>,
        facts: any FactLedger,
        progress: @escaping @Sendable (String) -> Void,
        isJob: Bool = false,
        job: JobState? = nil
    ) {
        self.run = run
        self.step = step
        self.attempt = attempt
        self.timeout = timeout
        self.target = target
        self.cluster = cluster
        self.completedHosts = completedHosts
        self.facts = facts
        self.progress = progress
        self.isJob = isJob
        self.job = job
    }
}

/// Values of a run that later steps, a resumed controller and the reports need.
///
/// A fact is what was decided or recorded (a baseline, a path), never an observation to be trusted later: what is true
/// of a node is observed anew.
package protocol FactLedger: Sendable {
    /// The value that was recorded last under this name; host facts are named `host:name`.
    func fact(_ name: String) async throws(ActionFailure) -> String?
    func record(_ name: String, _ value: String) async throws(ActionFailure)
}

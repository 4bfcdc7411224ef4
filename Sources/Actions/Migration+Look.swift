// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote
import Rollout

// What is true of a member's data, asked of its node.
extension Migration {
    /// What is found, once no step that outlived its controller is at work on the data any more.
    ///
    /// Such a step has a deadline of its own on the node, so it is waited for; deciding from data that it still changes, or
    /// leaving the member down because of it, would both be wrong.
    func settledState(thorough: Bool, _ context: ActionContext) async throws(ActionFailure) -> MigrationState {
        let deadline = ContinuousClock.now + context.timeout
        var state = try await look(try context.requiredTarget(), thorough: thorough, timeout: context.timeout)
        if state.isBusy { context.progress("waiting for a step that outlived its controller and is still at work") }
        while state.isBusy, ContinuousClock.now < deadline, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(500))
            state = try await look(try context.requiredTarget(), thorough: thorough, timeout: context.timeout)
        }
        return state
    }

    func look(
        _ target: ActionTarget,
        thorough: Bool,
        timeout: Duration
    ) async throws(ActionFailure) -> MigrationState {
        let command = inspectCommand(
            etcdctl: EtcdSettings(variables: target.variables).etcdctl,
            thorough: thorough,
            timeout: timeout
        )
        guard let state = MigrationState(try await target.report(command)) else {
            throw ActionFailure("what the node said of its db is not whole")
        }
        return state
    }
}

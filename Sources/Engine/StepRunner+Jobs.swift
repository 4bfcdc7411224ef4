// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

// The jobs of steps: under which id one runs, and what became of it when a resumed run asks.
extension StepRunner {
    func job(of call: Call) -> JobID {
        JobID(run: run, step: call.step.id.text, attempt: call.attempt, isUndo: call.isUndo)
    }

    func jobHost(_ host: any RemoteHost, _ call: Call, _ state: NodeState) -> JobHost {
        JobHost(host, id: job(of: call), state: state, progress: news(of: call))
    }

    /// What is shown of a job at work: all that an operator's own command says, and of pawl's scripts what is for people.
    private func news(of call: Call) -> @Sendable (String) -> Void {
        if call.step.action == Command.schema.word { return call.progress }
        return { line in
            if let words = NodeReport.news(in: line) { call.progress(words) }
        }
    }

    /// Waits until no job of the step is running or can begin any more, and says what its latest attempt came to.
    ///
    /// An attempt that never began says nothing of the one before it. Once taking back was begun, the end of the work
    /// proves nothing any more.
    func settleJobs(
        of call: Call,
        _ past: StepPast,
        within timeout: Duration
    ) async throws(ActionFailure) -> JobState? {
        guard let name = call.step.host, let resolved = play.step(call.step),
            let target = hosts.target(name, become: resolved.become ?? play.playbook.become.value)
        else { return nil }
        let state = NodeState(variables: target.variables)
        if past.isHalfUndone, past.undoAttempts > 0 {
            var undo = call
            (undo.isUndo, undo.attempt) = (true, past.undoAttempts)
            let end = try await settle(undo, on: target.host, state, within: timeout)
            guard case .notBegun = end, past.undoAttempts == 1 else {
                return .inDoubt("it was begun to be taken back")
            }
        }
        var found = JobState.notBegun("it was never begun")
        for attempt in stride(from: max(1, past.attempts), through: 1, by: -1) {
            var earlier = call
            earlier.attempt = attempt
            found = try await settle(earlier, on: target.host, state, within: timeout)
            guard case .notBegun = found else { break }
        }
        return found
    }

    private func settle(
        _ call: Call,
        on host: any RemoteHost,
        _ state: NodeState,
        within timeout: Duration
    ) async throws(ActionFailure) -> JobState {
        do {
            return try await jobHost(host, call, state).settle(within: timeout)
        } catch {
            throw ActionFailure(error)
        }
    }
}

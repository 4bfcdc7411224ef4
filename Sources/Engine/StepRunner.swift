// SPDX-License-Identifier: Apache-2.0

import Actions
import Playbooks
import Remote
import Rollout

/// Runs one step of a plan against its nodes: makes the action, gives it its context, holds its deadline.
struct StepRunner: Sendable {
    let run: String
    let play: Play
    let hosts: HostDirectory
    let facts: any FactLedger
    /// How much longer than its own deadline an action may take before nobody waits for it.
    var grace = Duration.seconds(60)
    /// What must hold on a node in front of each change of a step: the lock, the run's marker.
    var guards: @Sendable (Call, _ host: String) -> [any MutationGuard] = { _, _ in [] }
    /// Jobs of steps that succeeded; each node's next change takes their files along.
    let spentJobs = SpentJobs()

    /// How a step ended: what the machine must know, and what people are told.
    struct Ending: Sendable {
        var outcome: Outcome
        var evidence: Evidence?
    }

    /// What varies from call to call.
    struct Call: Sendable {
        var step: PlannedStep
        var attempt: Int
        var completedHosts: Set<String>
        var hasChangedAnything = true
        var progress: @Sendable (String) -> Void
        /// How many times the step was to be done or taken back so far, this one counted.
        var turn: Int
        /// Whether the step is being taken back.
        var isUndo = false
    }

    func perform(_ call: Call) async -> Ending {
        await ending(of: call) { action, context throws(ActionFailure) in try await action.perform(context) }
    }

    func undo(_ call: Call) async -> Ending {
        var call = call
        call.isUndo = true
        return await ending(of: call) { action, context throws(ActionFailure) in try await action.undo(context) }
    }

    /// Looks at what the node shows of a step, after the end of its job when that still runs.
    ///
    /// What the node does not tell is in doubt; a node that cannot be asked is another thing.
    func observe(_ call: Call, _ past: StepPast) async -> Event.Finding {
        do throws(ActionFailure) {
            var (action, context) = try prepare(call)
            if call.step.isJob, !past.wasDone {
                context.job = try await settleJobs(of: call, past, within: context.timeout)
            }
            switch try await action.observe(context) {
            case .done: return .done
            case .notBegun(let why): return .notBegun(why)
            case .inDoubt(let why): return .inDoubt(why)
            }
        } catch {
            return error.isUnreachable ? .unseen(error.message) : .inDoubt(error.message)
        }
    }

    private typealias Work = @Sendable (any Action, ActionContext) async throws(ActionFailure) -> Evidence

    private func ending(of call: Call, _ work: @escaping Work) async -> Ending {
        do throws(ActionFailure) {
            let (action, context) = try prepare(call)
            let evidence = try await withDeadline(context.timeout, of: call.step) { () throws(ActionFailure) in
                try await work(action, context)
            }
            if call.step.isJob, let host = call.step.host { spentJobs.add(job(of: call), on: host) }
            return Ending(outcome: .succeeded, evidence: evidence)
        } catch {
            let told = Failure(
                step: call.step.id,
                host: call.step.host,
                error.message,
                remedy: error.remedy,
                isFenced: error.isFenced
            )
            return Ending(outcome: error.isInDoubt ? .inDoubt(told) : .failed(told), evidence: nil)
        }
    }

    private func prepare(_ call: Call) throws(ActionFailure) -> (any Action, ActionContext) {
        guard let resolved = play.step(call.step) else {
            throw ActionFailure("the plan has a step that the playbook does not: \(call.step.id)")
        }
        let action = try ActionRegistry.make(resolved.action, resolved.parameters)
        let become = resolved.become ?? play.playbook.become.value
        var context = ActionContext(
            run: run,
            step: call.step.id,
            attempt: call.attempt,
            timeout: resolved.timeout ?? action.traits.defaultTimeout,
            target: call.step.host.flatMap { target($0, become: become, call) },
            cluster: play.hosts.compactMap { target($0, become: become, call) },
            completedHosts: call.completedHosts,
            facts: facts,
            progress: call.progress,
            isJob: call.step.isJob
        )
        context.hasChangedAnything = call.hasChangedAnything
        context.playbook = play.playbook.path
        return (action, context)
    }

    private func target(_ name: String, become: Bool, _ call: Call) -> ActionTarget? {
        guard var target = hosts.target(name, become: become) else { return nil }
        let state = NodeState(variables: target.variables)
        let clearing = SpentJobs.Clearing(jobs: spentJobs, host: name, state: state)
        target.host = jobHost(GuardedHost(target.host, guards: guards(call, name) + [clearing]), call, state)
        return target
    }

    /// The actions hold their own deadlines on the node; this one is the last resort against an action that does not
    /// come back, and what it leaves is in doubt.
    private func withDeadline(
        _ timeout: Duration,
        of step: PlannedStep,
        _ work: @escaping @Sendable () async throws(ActionFailure) -> Evidence
    ) async throws(ActionFailure) -> Evidence {
        let limit = timeout + grace
        let result = await withTaskGroup(of: Result<Evidence, ActionFailure>.self) { group in
            group.addTask {
                do throws(ActionFailure) {
                    return .success(try await work())
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return .failure(
                    ActionFailure(
                        "no end was seen within \(DurationText.of(limit))",
                        isInDoubt: step.effect != .readOnly
                    )
                )
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? .failure(ActionFailure("cancelled", isInDoubt: true))
        }
        return try result.get()
    }
}

// SPDX-License-Identifier: Apache-2.0

import Actions
import Playbooks
import Rollout

/// Makes the plan: the steps of a play laid over its hosts, the leader last, bound to its inputs by digests.
package enum Planner {
    /// Makes the plan of a play.
    ///
    /// - Parameters:
    ///   - play: what is to be done.
    ///   - survey: who leads and which member is which; without it the order is the inventory's.
    /// - Returns: the plan.
    package static func plan(_ play: Play, _ survey: Survey) -> Plan {
        let order = play.playbook.order.value == .leaderLast ? survey.leaderLast(play.hosts) : play.hosts
        let serial: Plan.Serial =
            switch play.playbook.serial.value {
            case .all: .all
            case .count(let count): .hosts(count)
            }
        let entries = play.steps.map { entry($0, of: play) }
        let layout = PlanLayout.lay(entries, over: order, serial: serial)
        return Plan(
            name: play.playbook.name.value,
            hosts: order,
            serial: serial,
            onFailure: play.playbook.onFailure.value == .restore ? .restore : .halt,
            needsQuorum: play.knowsEtcd && serial != .all,
            stages: layout.stages,
            steps: layout.steps,
            inputs: Plan.Inputs(
                inventory: play.inputs.inventory,
                playbook: play.inputs.playbook,
                variables: play.inputs.variables,
                members: survey.memberIDs,
                discovered: play.discovered
            )
        )
    }

    private static func entry(_ step: Play.Step, of play: Play) -> PlanLayout.Entry {
        // Inside a host's unit everything belongs to that host, also an action that looks at all of them.
        let isClusterWide = step.scope == .cluster && step.phase != .steps
        var entry = PlanLayout.Entry(
            phase: step.phase,
            number: step.number,
            isClusterWide: isClusterWide,
            hosts: step.hosts
        ) { id, host in
            planned(step, id: id, host: host, in: play)
        }
        entry.place = step.place
        entry.isOneByOne = step.isOneByOne
        return entry
    }

    private static func planned(_ step: Play.Step, id: StepID, host: String?, in play: Play) -> PlannedStep {
        let resolved = step.byHost[host ?? step.hosts.first ?? ""]
        let action = resolved.flatMap { try? ActionRegistry.make($0.action, $0.parameters) }
        let traits = action?.traits ?? ActionTraits(effect: .once)
        return PlannedStep(
            id: id,
            phase: step.phase,
            host: host,
            name: resolved?.name ?? resolved?.action ?? id.text,
            action: resolved?.action ?? "",
            effect: traits.effect,
            availability: traits.availability,
            resource: traits.resource,
            hasUndo: traits.hasUndo,
            mayRedoAfterUndo: traits.mayRedoAfterUndo,
            isJob: traits.job.holds(for: resolved?.timeout ?? traits.defaultTimeout),
            digest: Digest.sha256(resolved?.canonicalText ?? "")
        )
    }
}

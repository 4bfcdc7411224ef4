// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Playbooks
import Rollout

/// A playbook over an inventory: hosts chosen, variables merged, every step resolved for every host it is for.
///
/// Making one contacts nothing. What is wrong with the inputs has been said before a value of this type exists.
package struct Play: Sendable {
    /// A host of the inventory with what the playbook and the command line add to it.
    package struct Host: Sendable {
        package var name: String
        package var connection: ConnectionSettings
        package var variables: [String: Value]
        /// Variables of etcd that neither the inventory nor the playbook's `vars` nor the command line sets.
        package var unsaid: Set<String> = []
    }

    /// One step of the playbook, resolved.
    package struct Step: Sendable {
        package var phase: Phase
        /// Its place in its phase, from 1.
        package var number: Int
        package var scope: ActionScope
        /// Which of the hosts do it, by their place in the order of the plan.
        package var place = PlanLayout.Place.everyone
        package var isOneByOne = false
        /// By host; a step of cluster scope is resolved with the first host's variables and stands under each.
        package var byHost: [String: ResolvedStep]
        /// The hosts it is for, in inventory order.
        package var hosts: [String]
    }

    package var playbook: Playbook
    /// The hosts that the playbook is for, in inventory order.
    package var hosts: [String]
    /// Those, and the hosts that freeze and thaw name.
    package var allHosts: [String: Host]
    package var steps: [Step]
    package var inputs: InputDigests
    /// Variables that were read off the running nodes, by host; weaker than the inventory, stronger than `defaults`.
    package var discovered: [String: [String: String]] = [:]
    /// Warnings about the inputs, as an extra variable that nothing mentions.
    package var warnings: [Diagnostic]

    /// SHA-256 of what a plan is made from.
    package struct InputDigests: Sendable, Hashable {
        package var inventory: String
        package var playbook: String
        package var variables: String
    }

    /// Whether a step acts on etcd members, so that quorum, leader and member ids matter.
    package var knowsEtcd: Bool {
        steps.contains { step in step.byHost.values.contains { $0.action.hasPrefix("etcd_") } }
    }

    /// The step that a planned step stands for.
    package func step(_ planned: PlannedStep) -> ResolvedStep? {
        guard let number = Play.number(of: planned.id) else { return nil }
        guard let step = steps.first(where: { $0.phase == planned.phase && $0.number == number }) else { return nil }
        return step.byHost[planned.host ?? hosts.first ?? ""]
    }

    /// `steps.3/n1` → 3, `gate.1@n1/*` → 1.
    private static func number(of id: StepID) -> Int? {
        let tail = id.text.drop { $0 != "." }.dropFirst()
        return Int(tail.prefix { $0.isNumber })
    }
}

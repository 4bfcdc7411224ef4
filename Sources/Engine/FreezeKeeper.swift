// SPDX-License-Identifier: Apache-2.0

import Actions
import Playbooks
import Remote
import Rollout

/// Puts the dead-man time of closed client ports off for as long as the controller is at work, also while a step takes
/// longer than that time.
///
/// It changes nothing but the end of the rule, and only under the lock: a controller that has lost it renews nothing.
struct FreezeKeeper: Sendable {
    let play: Play
    let hosts: HostDirectory
    let facts: any FactLedger
    /// What must hold on a node before it is renewed there.
    let fence: @Sendable (_ host: String) -> [any MutationGuard]

    /// How often it is looked whether anything is closed.
    private static let idle = Duration.seconds(1)

    /// Renews once, before a resumed run looks at what is in place: what is closed then does not open behind the look.
    func begin(_ plan: Plan) async {
        guard closesPorts(plan), let watch = await watch() else { return }
        _ = await watch.renew()
    }

    /// Renews until it is cancelled, three times in the shortest dead-man time; a plan that closes no ports, and opens
    /// none, has nothing to be renewed.
    func keep(_ plan: Plan) async {
        guard closesPorts(plan) else { return }
        while !Task.isCancelled {
            let watch = await watch()
            if let time = watch?.shortest {
                // Nobody cuts a command off that is under way.
                _ = await Task { await watch?.renew() }.value
                guard (try? await Task.sleep(for: time / 3)) != nil else { return }
            } else {
                guard (try? await Task.sleep(for: Self.idle)) != nil else { return }
            }
        }
    }

    private func closesPorts(_ plan: Plan) -> Bool {
        plan.steps.contains { $0.action == EtcdFreeze.schema.word && $0.effect != .readOnly }
    }

    /// The last time, at the end of a run that did not thaw.
    ///
    /// - Returns: what people must know; `nil` when no port is closed.
    func leave() async -> String? {
        guard let watch = await watch(), !watch.hosts.isEmpty else { return nil }
        let troubles = await watch.renew()
        let names = watch.hosts.joined(separator: ", ")
        guard troubles.isEmpty else {
            return "the client ports are not closed everywhere any more: " + troubles.joined(separator: "; ")
        }
        guard let time = watch.shortest else { return "the client ports of \(names) stay closed until the run goes on" }
        return
            "the client ports of \(names) stay closed for \(DurationText.of(time)); go on with the run before they open "
            + "by themselves and clients write"
    }

    private func watch() async -> FreezeWatch? {
        let become = play.playbook.become.value
        let targets = play.hosts.compactMap { name -> ActionTarget? in
            guard var target = hosts.target(name, become: become) else { return nil }
            target.host = GuardedHost(target.host, guards: fence(name))
            return target
        }
        return try? await FreezeWatch(facts, targets)
    }
}

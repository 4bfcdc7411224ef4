// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Rollout

/// `etcd_upgrade_ready`: says of each member whether etcd 3.6 would start on its data, and what stands in its way.
package struct EtcdUpgradeReady: Action {
    package static let schema = ActionSchema(
        word: "etcd_upgrade_ready",
        summary: """
            Say of each member whether it is ready for etcd 3.6, or why not: the cluster's version, v2 keys and users in its \
            newest snapshot, v2 writes since. Changes nothing.
            """,
        parameters: [
            .init(
                "require",
                .choice(["none", "v2_removed", "all"]),
                default: .string("none"),
                "What fails the step: nothing, v2 data that is left, or anything that stands in the way of 3.6."
            )
        ],
        example: """
            - name: Ready for etcd 3.6
              etcd_upgrade_ready: { require: none }
            """
    )
    package static let scope = ActionScope.cluster

    private let requirement: String

    package init(_ parameters: Parameters) throws(ActionFailure) {
        requirement = parameters.string("require") ?? "none"
    }

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(180)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("it is looked at anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let answers = await ClusterProbe.leftovers(context.etcdNodes)
        var values: [String: String] = [:]
        var lines: [String] = []
        var failing: [String] = []
        for (name, answer) in answers.sorted(by: { $0.key < $1.key }) {
            let reasons: [String]
            switch answer {
            case .failure(let error):
                reasons = ["it cannot be told: \(error.message)"]
                if requirement != "none" { failing.append(error.description) }
            case .success(let found):
                reasons = found.obstacles
                let required = requirement == "all" ? found.obstacles : requirement == "none" ? [] : found.v2Obstacles
                failing += required.map { "\(name): \($0)" }
            }
            let verdict = reasons.isEmpty ? "yes" : "no, because " + reasons.joined(separator: "; ")
            values["\(name):ready_for_3_6"] = verdict
            lines.append("\(name): \(verdict)")
            context.progress("\(name): ready for etcd 3.6: \(verdict)")
        }
        if failing.isEmpty {
            let verdicts = Set(values.values)
            let all = verdicts.count == 1 ? verdicts.first.map { "all members: \($0)" } : nil
            return Evidence("ready for etcd 3.6: " + (all ?? lines.joined(separator: " | ")), values)
        }
        throw ActionFailure(
            "members are not as etcd 3.6 needs them",
            problems: failing,
            remedy: "playbooks/remove_v2_data.yaml removes v2 data, playbooks/force_snapshot.yaml writes new snapshots"
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_reseed_ready`: whether members can be told how to found a cluster and how to join it, before anything changes.
package struct EtcdReseedReady: Action {
    package static let schema = ActionSchema(
        word: "etcd_reseed_ready",
        summary: """
            Check that each member can be given the settings by which it founds a new cluster or joins it, and record what \
            these must be. Changes nothing.
            """,
        parameters: [],
        example: """
            - etcd_reseed_ready: {}
            """
    )
    package static let scope = ActionScope.cluster

    package init(_ parameters: Parameters) throws(ActionFailure) {}

    package var traits: ActionTraits { ActionTraits(effect: .readOnly, defaultTimeout: .seconds(120)) }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a check is made anew each time")
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        Evidence("nothing to undo: the step only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let answers = await ClusterProbe.health(context.etcdNodes)
        var problems: [String] = []
        for target in context.cluster {
            let node = target.etcdNode
            guard case .success(let health)? = answers[node.name] else {
                problems.append("\(node.name): its member does not answer")
                continue
            }
            guard let member = health.list.members.first(where: { $0.id == health.memberID }) else {
                problems.append("\(node.name): the member is not in its own list")
                continue
            }
            let settings = UnitSettings(
                service: node.settings.service,
                values: ["initial-cluster": "\(member.name)=" + member.peerURLs.joined()]
            )
            if !settings.isPlain {
                problems.append("\(node.name): name or peer URLs cannot be given to a unit: \(member.name)")
            }
            let report = try await target.tell(settings.lookCommand(timeout: context.timeout))
            problems += Self.problems(report, on: node)
            try await context.facts.record(
                "\(node.name):\(ReseedFact.peerURLs)",
                member.peerURLs.joined(separator: ",")
            )
            try await context.facts.record("\(node.name):\(ReseedFact.name)", member.name)
            try await context.facts.record(
                "\(node.name):\(ReseedFact.flags)",
                report.all("flag").joined(separator: " ")
            )
            let isModern = health.status.version.map { ($0.major, $0.minor) >= (3, 4) } ?? false
            try await context.facts.record(ReseedFact.hasLearners, isModern ? "yes" : "no")
        }
        guard problems.isEmpty else {
            throw ActionFailure(
                "members cannot be given the settings of a new cluster",
                problems: problems,
                remedy: "use the playbook that stops all members, which changes no setting of etcd"
            )
        }
        return Evidence("\(context.cluster.count) members can be given the settings of a new cluster")
    }

    /// The settings that the other steps give.
    static let settings: Set<String> = [
        "force-new-cluster", "snapshot-count", "initial-cluster", "initial-cluster-state",
    ]

    private static func problems(_ report: NodeReport, on node: EtcdNode) -> [String] {
        if let refusal = report.refusal { return ["\(node.name): \(refusal.message)"] }
        if report["config"] == "yes" {
            return ["\(node.name): etcd reads a configuration file, and then no flag and no environment"]
        }
        if report["discovery"] == "yes" {
            return ["\(node.name): etcd was started by a discovery service, which excludes initial-cluster"]
        }
        let fixed = settings.intersection(report.all("flag")).sorted()
        guard !fixed.isEmpty, report["extensible"] != "yes" else { return [] }
        return [
            "\(node.name): --\(fixed.joined(separator: ", --")) stands on etcd's command line, and \(node.settings.service) does "
                + "not start etcd by itself, so that no flag can be added behind it"
        ]
    }
}

/// Names of facts that the steps of a reseed tell each other.
enum ReseedFact {
    /// The host whose member founded the new cluster.
    static let seed = "reseed_seed"
    static let hasLearners = "reseed_has_learners"
    /// Whether members were added to the new cluster since it was founded.
    static let hasAdded = "reseed_has_added"
    /// Of a host.
    static let peerURLs = "reseed_peer_urls"
    static let name = "reseed_name"
    static let flags = "reseed_flags"
    /// Of a host: its id in the old cluster, for the way back.
    static let oldID = "reseed_old_member_id"
}

extension ActionContext {
    /// Makes the id that the step's member has in the new cluster the one that is expected of it.
    func replaceMemberID(by id: EtcdID) async throws(ActionFailure) {
        if try await hostFact(ReseedFact.oldID) == nil, let old = try await hostFact("member_id") {
            try await record(ReseedFact.oldID, old)
        }
        try await record("member_id", "\(id)")
    }

    /// Makes it the one that it had in the old cluster again.
    func putMemberIDBack() async throws(ActionFailure) {
        guard let old = try await hostFact(ReseedFact.oldID) else { return }
        try await record("member_id", old)
    }

    /// Settings for the unit of the step's host, put where its command line leaves room for them.
    func unitSettings(_ service: String, _ values: [String: String] = [:]) async throws(ActionFailure) -> UnitSettings {
        let flags = try await hostFact(ReseedFact.flags)?.split(separator: " ").map(String.init) ?? []
        return UnitSettings(service: service, values: values, flags: Set(flags))
    }
}

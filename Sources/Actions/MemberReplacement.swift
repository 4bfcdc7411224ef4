// SPDX-License-Identifier: Apache-2.0

import Etcd
import Remote

/// The commands that replace a member by hand, where there is no sound way back for its own data.
///
/// pawl does not do this by itself. The new member gets its data from a peer: from its snapshot and log, so that it only
/// ends as the old one was when the peer is not migrated and has a snapshot (etcd #8804), which cannot hold once the whole
/// cluster is migrated. And while it is out of the list, the cluster has one vote less.
struct MemberReplacement: Sendable {
    /// In one line, for a remedy.
    let text: String

    /// Asks the other members for what the commands need.
    init(_ context: ActionContext, host: String) async {
        let others = context.etcdNodes.filter { $0.name != host }
        let answers = await ClusterProbe.health(others)
        let healthy = answers.compactMapValues { try? $0.get() }.filter(\.value.isHealthy)
        let recorded = try? await context.fact("member_id", of: host)
        // A peer whose v3 store nothing was written to is one that is not migrated.
        let peer = healthy.min { ($0.value.status.revision, $0.key) < ($1.value.status.revision, $1.key) }
        let settings = context.etcdNodes.first { $0.name == host }?.settings ?? EtcdSettings(variables: [:])
        guard let peer, let node = others.first(where: { $0.name == peer.key }) else {
            text =
                "bring the other members into service first; then replace this one from a member that is not migrated"
            return
        }
        let lost = peer.value.list.members.first { "\($0.id)" == recorded }
        text = Self.text(
            .init(host: host, settings: settings, lost: lost, recordedID: recorded, peer: node, answer: peer.value)
        )
    }

    /// What the commands are made from.
    struct Parts: Sendable {
        var host: String
        var settings: EtcdSettings
        /// The member as the peer lists it; `nil` when it is not in the list any more.
        var lost: ListedMember?
        var recordedID: String?
        var peer: EtcdNode
        var answer: MemberHealth
    }

    static func text(_ parts: Parts) -> String {
        let name = parts.lost.flatMap { $0.isStarted ? $0.name : nil } ?? parts.host
        let urls = parts.lost?.peerURLs.joined(separator: ",") ?? "PEER_URLS"
        let id = parts.lost.map { "\($0.id)" } ?? parts.recordedID ?? "ID"
        let etcdctl =
            "ETCDCTL_API=3 "
            + ShellQuoting.line([parts.peer.settings.etcdctl, "--endpoints", parts.peer.settings.endpoint])
        let cluster =
            parts.answer.list.members.filter { $0.id != parts.lost?.id }
            .flatMap { member in member.peerURLs.map { "\(member.name)=\($0)" } }
            + (parts.lost?.peerURLs ?? ["PEER_URL"]).map { "\(name)=\($0)" }
        let data = parts.settings.dataDir
        let isMigrated = parts.answer.status.revision > 1
        return [
            isMigrated
                ? "no member that serves is without v3 data, so a new member would get the migrated data; to replace it all "
                    + "the same:"
                : "replace the member from \(parts.peer.name), if that has a file member/snap/*.snap:",
            "(1) on \(parts.peer.name): \(etcdctl) member remove \(id)",
            "(2) on \(parts.host): mv \(ShellQuoting.quote(data)) \(ShellQuoting.quote(data + ".removed"))",
            "(3) on \(parts.peer.name): \(etcdctl) member add \(ShellQuoting.quote(name)) --peer-urls=\(urls)",
            "(4) on \(parts.host): start \(parts.settings.service) once with "
                + "ETCD_INITIAL_CLUSTER=\(ShellQuoting.quote(cluster.joined(separator: ","))) and "
                + "ETCD_INITIAL_CLUSTER_STATE=existing, or the flags of these names where it is configured by flags",
        ].joined(separator: " ")
    }
}

extension ActionFailure {
    /// The data directory does not hold a member that anything could be put back into.
    var isMissingMember: Bool { message.contains("holds no member of etcd") || message.contains("is not a directory") }
}

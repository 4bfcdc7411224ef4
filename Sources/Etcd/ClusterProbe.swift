// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Asks the members of a cluster, each by itself on its own node and all at the same time.
///
/// A question is one remote command per member, read-only, with deadlines in every program it starts.
package enum ClusterProbe {
    /// Everything that preflight looks at, with the transformer of each host that has one.
    package static func facts(
        _ nodes: [EtcdNode],
        transformers: [String: String] = [:]
    ) async -> [String: Result<MemberFacts, EtcdProbeError>] {
        await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            script.ask(MemberFacts.requests)
            script.ask("fingerprint", Fingerprint.script(node.settings))
            script.askTool()
            script.ask("node", NodeFacts.script(node.settings, transformer: transformers[node.name]))
            let answer = try await script.run(on: node, label: "look at etcd and its node", timeout: .seconds(180))
            return try MemberFacts(answer, node: node)
        }
    }

    /// Each member's id, leader and health.
    package static func health(_ nodes: [EtcdNode]) async -> [String: Result<MemberHealth, EtcdProbeError>] {
        await health(nodes, beside: [:]).mapValues(\.member)
    }

    /// Each member's id, leader and health, and in the same remote command the answer to a question about its node.
    package static func health(
        _ nodes: [EtcdNode],
        beside shell: [String: String]
    ) async -> [String: Accompanied<MemberHealth>] {
        await each(nodes, beside: shell, label: "ask etcd for its health", MemberHealth.requests) {
            answer throws(EtcdProbeError) in try MemberHealth(answer)
        }
    }

    /// Each member's own status, without anything that goes through raft: what `/health` costs is an entry in the log,
    /// so that indexes are compared with this.
    package static func statuses(_ nodes: [EtcdNode]) async -> [String: Result<EndpointStatus, EtcdProbeError>] {
        await statuses(nodes, beside: [:]).mapValues(\.member)
    }

    /// Each member's own status, and in the same remote command the answer to a question about its node.
    package static func statuses(
        _ nodes: [EtcdNode],
        beside shell: [String: String]
    ) async -> [String: Accompanied<EndpointStatus>] {
        await each(nodes, beside: shell, label: "ask etcd for its status", [.status]) {
            answer throws(EtcdProbeError) in
            try answer.decode("status") { EndpointStatus(json: $0) }
        }
    }

    /// What a member told, and what its node told beside it, also where the member said nothing.
    package struct Accompanied<Value: Sendable>: Sendable {
        package var member: Result<Value, EtcdProbeError>
        package var node: String?
    }

    /// Asks every member, and its node by a piece of shell, which is by host.
    private static func each<Value: Sendable>(
        _ nodes: [EtcdNode],
        beside shell: [String: String],
        label: String,
        _ requests: [EtcdRequest],
        _ read: @escaping @Sendable (ProbeAnswer) throws(EtcdProbeError) -> Value
    ) async -> [String: Accompanied<Value>] {
        let answers = await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            if let shell = shell[node.name] { script.ask("node", shell) }
            script.ask(requests)
            let answer = try await script.run(on: node, label: label)
            return Accompanied(
                member: result { () throws(EtcdProbeError) in try read(answer) },
                node: answer["node"]?.text
            )
        }
        return answers.mapValues { answer in
            switch answer {
            case .success(let accompanied): accompanied
            case .failure(let error): Accompanied(member: .failure(error), node: nil)
            }
        }
    }

    private static func result<Value>(
        _ body: () throws(EtcdProbeError) -> Value
    ) -> Result<Value, EtcdProbeError> {
        do throws(EtcdProbeError) {
            return .success(try body())
        } catch {
            return .failure(error)
        }
    }

    /// What a gate looks at.
    ///
    /// Fingerprints need the v2 API. The hosts in `hashed` have their v3 store hashed, at the revision, or at their own
    /// newest one where it is `nil`.
    package static func states(
        _ nodes: [EtcdNode],
        fingerprints: Bool,
        hashed: Set<String>,
        at revision: Int64? = nil
    ) async -> [String: Result<MemberState, EtcdProbeError>] {
        await each(nodes) { node throws(EtcdProbeError) in
            var script = ProbeScript(node.settings)
            script.ask([.status, .members, .count, .health])
            if fingerprints { script.ask("fingerprint", Fingerprint.script(node.settings)) }
            let isHashed = hashed.contains(node.name)
            if isHashed {
                script.ask("hashkv", node.settings.commandLine(.hashKV(revision: revision), seconds: 30) + " 2>&1")
            }
            let answer = try await script.run(on: node, label: "ask etcd what it holds", timeout: .seconds(200))
            // First: it is what tells a member that is not there.
            let health = try MemberHealth(answer)
            let count = try answer.part("count")
            let hash = isHashed ? try answer.part("hashkv") : nil
            let hashed = hash?.isGood == true ? try answer.decode("hashkv") { HashKV(json: $0, asked: revision) } : nil
            return MemberState(
                health: health,
                count: count.isGood ? RangeCount(json: count.body) : nil,
                fingerprint: fingerprints
                    ? try Fingerprint(
                        report: String(decoding: try answer.body("fingerprint"), as: UTF8.self),
                        host: node.name
                    ) : nil,
                hash: hashed,
                hashRefusal: hashed == nil ? hash.map { ProbeAnswer.lastWords($0.text) } : nil
            )
        }
    }

    /// The fingerprint of one member.
    package static func fingerprint(_ node: EtcdNode) async throws(EtcdProbeError) -> Fingerprint {
        var script = ProbeScript(node.settings)
        script.ask("fingerprint", Fingerprint.script(node.settings))
        let answer = try await script.run(on: node, label: "fingerprint the v2 keys", timeout: .seconds(150))
        let report = String(decoding: try answer.body("fingerprint"), as: UTF8.self)
        return try Fingerprint(report: report, host: node.name)
    }

    /// Runs one question on every member at once.
    static func each<Value: Sendable>(
        _ nodes: [EtcdNode],
        _ ask: @escaping @Sendable (EtcdNode) async throws(EtcdProbeError) -> Value
    ) async -> [String: Result<Value, EtcdProbeError>] {
        await withTaskGroup(of: (String, Result<Value, EtcdProbeError>).self) { group in
            for node in nodes {
                group.addTask {
                    do throws(EtcdProbeError) {
                        return (node.name, .success(try await ask(node)))
                    } catch {
                        return (node.name, .failure(error))
                    }
                }
            }
            var answers: [String: Result<Value, EtcdProbeError>] = [:]
            for await (name, answer) in group { answers[name] = answer }
            return answers
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Etcd
import Fleet
import Playbooks
import Remote
import Rollout

/// `etcd_freeze`: closes the client ports of a member to everybody but its own node, and opens them again.
///
/// Why it is done in this way, and what happens when the controller dies, is in docs/design/freeze.md.
package struct EtcdFreeze: Action {
    package enum State: String, Sendable, CaseIterable {
        case frozen, thawed
    }

    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "etcd_freeze",
        summary: "Closes etcd's client ports on the node by a firewall rule, so that nobody writes; and opens them.",
        parameters: [
            .init(
                "state",
                .choice(State.allCases.map(\.rawValue)),
                default: .string(State.frozen.rawValue),
                "`frozen` closes the ports, and is undone like any step of `freeze`; `thawed` opens them, whichever run "
                    + "closed them."
            ),
            .init(
                "with",
                .choice(["none"] + ClientFirewall.Tool.allCases.map(\.rawValue)),
                default: .string(ClientFirewall.Tool.auto.rawValue),
                "What makes the rule; `auto` is nft where it works, otherwise iptables and ip6tables. With `none` nothing "
                    + "is done."
            ),
            .init(
                "ports",
                .list(.integer(1...65535)),
                "The ports to be closed. Without it: those of etcd_endpoint, those that the member advertises to clients, "
                    + "and those on which it serves clients besides."
            ),
            .init(
                "dead_man",
                .duration,
                default: .int(3600),
                "How long the ports stay closed when no controller is at work any more; then the node opens them itself. "
                    + "0 is for ever; otherwise at least 5s."
            ),
        ],
        example: """
            - name: Keep clients out
              etcd_freeze: { with: auto, dead_man: 2h }
            """
    )

    private let state: State
    /// `nil` where nothing is to be done.
    private let tool: ClientFirewall.Tool?
    private let ports: [Int]?
    private let deadMan: Duration?

    package init(_ parameters: Parameters) throws(ActionFailure) {
        state = parameters.string("state").flatMap(State.init) ?? .frozen
        let with = parameters.string("with") ?? ClientFirewall.Tool.auto.rawValue
        tool = ClientFirewall.Tool(rawValue: with)
        if case .list(let items)? = parameters.values["ports"] {
            ports = items.compactMap { if case .int(let port) = $0 { port } else { nil } }
        } else {
            ports = nil
        }
        let time = parameters.duration("dead_man") ?? .seconds(3600)
        guard time == .zero || time >= .seconds(5) else {
            throw ActionFailure(
                "a dead-man time of \(DurationText.of(time)) is over before the run renews it",
                remedy: "give it at least 5s, better an hour; 0 is for ever"
            )
        }
        deadMan = time == .zero ? nil : time
    }

    package var traits: ActionTraits {
        guard state == .thawed || tool != nil else { return ActionTraits(effect: .readOnly) }
        return ActionTraits(
            effect: .repeatable,
            resource: state == .frozen ? "client ports of etcd" : nil,
            hasUndo: state == .frozen,
            defaultTimeout: .seconds(90)
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        guard tool != nil || state == .thawed else { return .done(Evidence("nothing is to be done")) }
        let target = try context.requiredTarget()
        let report = try await target.report(firewall(target, context.run).look())
        let isOpen = report["state"] == "open"
        guard state == .frozen else {
            return isOpen ? .done(Evidence("the client ports are open")) : .notBegun("the client ports are closed")
        }
        if isOpen { return .notBegun(Self.opened(report)) }
        guard report["run"] == context.run else {
            return .notBegun("the client ports are closed by run \(report["run"] ?? "unknown")")
        }
        if report["state"] == "broken" { return .notBegun(report["trouble"] ?? "the rule is not in place") }
        if report["watched"] == "no" { return .notBegun("the dead-man timer does not run") }
        return .done(Evidence("port \(report["ports"] ?? "") is closed by this run since \(report["since"] ?? "")"))
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        switch state {
        case .thawed: return try await open(context)
        case .frozen:
            guard let tool else { return Evidence("no firewall: whoever writes is stopped by other means") }
            return try await close(context, by: tool)
        }
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        tool == nil ? Evidence("nothing to undo") : try await open(context)
    }

    /// Why ports that had been closed are open.
    static func opened(_ report: NodeReport) -> String {
        guard let lifted = report["lifted"]?.split(separator: " "), lifted.count == 2 else {
            return "the client ports are open"
        }
        return "the client ports are open: the dead-man timer of run \(lifted[0]) lifted the rule at \(lifted[1])"
    }

    private func firewall(_ target: ActionTarget, _ run: String, _ tool: ClientFirewall.Tool = .auto) -> ClientFirewall
    {
        ClientFirewall(
            state: NodeState(variables: target.variables),
            host: target.host.name,
            run: run,
            tool: tool,
            deadMan: deadMan
        )
    }

    // MARK: - Closing

    private func close(
        _ context: ActionContext,
        by tool: ClientFirewall.Tool
    ) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let node = target.etcdNode
        let member = await Self.member(of: node)
        let known = try await knownPorts(context, node, member)
        let command = firewall(target, context.run, tool).close(
            known,
            findingMore: ports == nil && member != nil ? node.settings : nil,
            timeout: context.timeout
        )
        let report = try await target.report(command)
        let closed = (report["ports"] ?? "").split(separator: " ").compactMap { Int($0) }
        try await FreezeWatch.record(context, ports: report["ports"] ?? "", deadMan: deadMan)
        let proof = try await prove(context, member, closed)
        let taken = report["taken_from"].map { ", taken over from run \($0)" } ?? ""
        let until = deadMan.map { "; without a controller it opens after \(DurationText.of($0))" } ?? ""
        return Evidence(
            "port \(closed.map(String.init).joined(separator: ", ")) is closed by \(report["with"] ?? "")\(taken)\(proof)\(until)",
            ["ports": report["ports"] ?? "", "with": report["with"] ?? "", "refuses": report["refuses"] ?? ""]
        )
    }

    private static func member(of node: EtcdNode) async -> ListedMember? {
        guard let answer = try? await ClusterProbe.health([node])[node.name]?.get() else { return nil }
        return answer.list.members.first { $0.id == answer.memberID }
    }

    /// The ports of the playbook, of the running member, or those that this run has closed before: a member that is in the
    /// middle of its steps is not asked.
    private func knownPorts(
        _ context: ActionContext,
        _ node: EtcdNode,
        _ member: ListedMember?
    ) async throws(ActionFailure) -> ClientPorts {
        var given = ports
        if given == nil, member == nil {
            given = try await context.hostFact(FreezeWatch.ports)?.split(separator: " ").compactMap { Int($0) }
            if given == nil {
                throw ActionFailure(
                    "etcd does not tell its ports: it does not answer at \(node.settings.endpoint)",
                    remedy: "start it, or name the client ports: ports: [2379]"
                )
            }
        }
        do throws(ClientPorts.Problem) {
            return try ClientPorts(given: given, endpoint: node.settings.endpoint, member: member)
        } catch {
            throw ActionFailure(error.message, remedy: error.remedy)
        }
    }

    /// What another node of the cluster sees: no client port, and still the peer port.
    private func prove(
        _ context: ActionContext,
        _ member: ListedMember?,
        _ closed: [Int]
    ) async throws(ActionFailure) -> String {
        let here = try context.requiredTarget()
        guard let member, let other = context.cluster.first(where: { $0.host.name != here.host.name }) else {
            return " (not tried from another node)"
        }
        let name = other.host.name
        do throws(RemoteError) {
            guard let reach = try await ClientFirewall.reach(member, closed: closed, from: other.etcdNode) else {
                return " (it advertises no address that another node could try)"
            }
            guard reach.clients.isEmpty else {
                throw RemoteError(
                    .refused,
                    host: name,
                    "\(name) still reaches \(reach.clients.joined(separator: ", "))"
                )
            }
            guard !reach.peers.isEmpty || member.peerURLs.isEmpty else {
                throw RemoteError(.refused, host: name, "\(name) does not reach the peer port any more")
            }
            return ", as \(name) finds, which still reaches its peer port"
        } catch {
            guard error.code == .refused else { return " (\(name) could not try it: \(error.message))" }
            throw ActionFailure(
                "the rule is in place and does not do its work: \(error.message)",
                remedy: "see `nft list ruleset` there for rules that come before it; or stop the writers with `command`"
            )
        }
    }

    // MARK: - Opening

    private func open(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let target = try context.requiredTarget()
        let report = try await target.report(firewall(target, context.run).open(timeout: context.timeout))
        try await FreezeWatch.forget(context)
        guard let was = report["was"] else { return Evidence(Self.opened(report)) }
        return Evidence("the client ports are open again" + (was == context.run ? "" : "; run \(was) had closed them"))
    }
}

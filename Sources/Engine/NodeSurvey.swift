// SPDX-License-Identifier: Apache-2.0

/// Nodes that have more than one name in the inventory.
struct NodeSurvey {
    /// The names of each node, in inventory order.
    private var names: [String: [String]] = [:]

    /// - Parameter hosts: their names, and what tells the node of each from others.
    init(_ hosts: [(name: String, node: String)]) {
        for host in hosts { names[host.node, default: []].append(host.name) }
    }

    /// What is to be said of a node; `nil` where it has one name.
    ///
    /// It may be meant so, as where a machine has several members.
    func problem(_ node: String) -> HostProblem? {
        guard let names = names[node], names.count > 1 else { return nil }
        return HostProblem(
            .sameNode,
            "one node has \(names.count) names: \(names.joined(separator: ", "))",
            remedy:
                "correct ansible_host and ansible_port, or leave all names but one out of the inventory, unless each is "
                + "a member of its own",
            isWarning: true
        )
    }
}

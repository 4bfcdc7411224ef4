// SPDX-License-Identifier: Apache-2.0

import Etcd

extension EtcdReadyReview {
    /// Whether the program that keys are to go through is there on every node, fit to be run, and the same.
    func transformer() -> [EtcdFinding] {
        if requirements.transformers.isEmpty { return [] }
        let without = nodes.map(\.name).filter { requirements.transformers[$0] == nil }
        var findings = without.map { name in
            EtcdFinding(
                .transformer,
                host: name,
                "no transformer is set for this host, and there is one for others",
                why: "its keys would be migrated as they are, and the others' not",
                remedy: "set it for all hosts, or for none"
            )
        }
        var programs: [String: [String]] = [:]
        for node in nodes {
            guard requirements.transformers[node.name] != nil, let file = facts[node.name]?.node.transformer else {
                continue
            }
            if let finding = unfit(file, node) { findings.append(finding) }
            if let digest = file.digest { programs[digest, default: []].append(node.name) }
        }
        guard programs.count > 1 else { return findings }
        let groups = programs.sorted { $0.value[0] < $1.value[0] }
            .map { "\($0.value.joined(separator: ", ")): sha256 \($0.key.prefix(12))…" }
        findings.append(
            EtcdFinding(
                .transformer,
                "the nodes have different transformers: \(groups.joined(separator: "; "))",
                why: "each member's keys go through the program of its own node",
                remedy: "put the same program on every node"
            )
        )
        return findings
    }

    private func unfit(_ file: TransformerFile, _ node: EtcdNode) -> EtcdFinding? {
        let user = node.settings.user
        let (what, remedy): (String, String)
        switch file.fitness {
        case .fit: return nil
        case .missing:
            (what, remedy) = ("is not a file on this node", "put it there, as with `upload` in the playbook's `tools`")
        case .notExecutable:
            (what, remedy) = (
                "cannot be run by \(user)",
                "chmod 755 it, see that \(user) may enter its directories and that its file system is not mounted noexec"
            )
        case .notReadable: (what, remedy) = ("cannot be read by \(user)", "chmod 755 it")
        case .noInterpreter:
            (what, remedy) = (
                "is run by \(file.interpreter ?? "a program"), which is not on this node",
                "install that, or change its first line"
            )
        }
        return EtcdFinding(
            .transformer,
            host: node.name,
            "the transformer \(file.path) \(what)",
            why: "every key goes through it",
            remedy: remedy
        )
    }
}

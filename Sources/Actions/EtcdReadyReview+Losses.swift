// SPDX-License-Identifier: Apache-2.0

import Etcd

extension EtcdReadyReview {
    /// What a migration would drop or change.
    ///
    /// The members' v2 stores are equal or a finding says so, so that one member's names stand for all; hidden keys are
    /// known from snapshots, which members take at different times.
    func losses() -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        let prints = nodes.compactMap { node in facts[node.name].flatMap { try? $0.fingerprint.get() } }
        if let most = prints.max(by: { $0.temporaryKeys < $1.temporaryKeys }), most.temporaryKeys > 0,
            let severity = requirements.ttlKeys.severity
        {
            findings.append(
                EtcdFinding(
                    severity,
                    "\(most.temporaryKeys) keys have a TTL: \(Self.list(most.temporaryNames, of: most.temporaryKeys))",
                    why: "they expire while members are migrated, and what is migrated of them is permanent",
                    remedy: "remove them, or allow ttl_keys and leave them out with no_ttl"
                )
            )
        }
        if let most = prints.max(by: { $0.ttlDirectories < $1.ttlDirectories }), most.ttlDirectories > 0,
            let severity = requirements.ttlKeys.severity
        {
            findings.append(
                EtcdFinding(
                    severity,
                    "\(most.ttlDirectories) directories have a TTL: "
                        + Self.list(most.ttlDirectoryNames, of: most.ttlDirectories),
                    why: "keys in them are migrated as permanent ones, even with no_ttl",
                    remedy: "remove the directories' TTL"
                )
            )
        }
        findings += hidden()
        if let most = prints.max(by: { $0.emptyDirectories < $1.emptyDirectories }), most.emptyDirectories > 0 {
            findings.append(
                EtcdFinding(
                    .warning,
                    "\(most.emptyDirectories) directories are empty, or hold hidden keys only: "
                        + Self.list(most.emptyDirectoryNames, of: most.emptyDirectories),
                    why: "v3 has no directories, they are dropped"
                )
            )
        }
        let bare = nodes.filter { facts[$0.name]?.node.snapshotCount == 0 }.map(\.name)
        if !bare.isEmpty {
            findings.append(
                EtcdFinding(
                    .warning,
                    "no snapshot exists on \(bare.joined(separator: ", "))",
                    why: "hidden keys cannot be looked for there, and a member that is added after the migration gets "
                        + "no migrated data until a snapshot was taken (etcd #8804)"
                )
            )
        }
        return findings
    }

    private func hidden() -> [EtcdFinding] {
        guard let severity = requirements.hiddenKeys.severity else { return [] }
        var names: Set<String> = []
        for facts in facts.values { names.formUnion(facts.node.hiddenKeys ?? []) }
        if names.isEmpty { return [] }
        let some = names.sorted().prefix(10)
        return [
            EtcdFinding(
                severity,
                "hidden keys were in the store when it was last written to a snapshot: \(some.joined(separator: ", "))",
                why: "a migration drops them silently",
                remedy: "copy them to other names, or allow hidden_keys"
            )
        ]
    }

    private static func list(_ names: [String], of count: Int) -> String {
        names.joined(separator: ", ") + (count > names.count ? " and \(count - names.count) more" : "")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Etcd

extension EtcdReadyReview {
    /// What a migration would drop or change.
    ///
    /// The members' v2 stores are equal or a finding says so, so that one member's names stand for all.
    func losses() -> [EtcdFinding] {
        expiring() + hidden() + altered() + users() + empty() + snapshots()
    }

    private var prints: [Fingerprint] {
        nodes.compactMap { node in facts[node.name].flatMap { try? $0.fingerprint.get() } }
    }

    private func expiring() -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        if let most = prints.max(by: { $0.temporaryKeys < $1.temporaryKeys }), most.temporaryKeys > 0 {
            let isSkipped = [.skip, .lease].contains(requirements.policy(of: .ttlKeys))
            findings.append(
                EtcdFinding(
                    .ttlKeys,
                    "\(most.temporaryKeys) keys have a TTL: "
                        + Self.list(most.expiringNames.map(\.description), of: most.temporaryKeys),
                    why: "they expire while members are migrated, and what is migrated of them is permanent",
                    remedy: isSkipped
                        ? "they are left out"
                        : "remove them, or leave them out with ttl_keys: skip, or lease, which gives them leases at the end"
                )
            )
        }
        if let most = prints.max(by: { $0.ttlDirectories < $1.ttlDirectories }), most.ttlDirectories > 0 {
            findings.append(
                EtcdFinding(
                    .ttlDirectories,
                    "\(most.ttlDirectories) directories have a TTL: "
                        + Self.list(most.expiringDirectoryNames.map(\.description), of: most.ttlDirectories),
                    why: "keys in them are migrated as permanent ones, even with no_ttl",
                    remedy:
                        "remove the directories' TTL (PUT with dir=true, prevExist=true and an empty ttl), or set ttl_keys to "
                        + "skip or lease, with which etcd_ttl_keys sees to those keys at the end"
                )
            )
        }
        return findings
    }

    private func hidden() -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        let found = nodes.compactMap { facts[$0.name]?.node.hidden }
        if let most = found.max(by: { $0.count < $1.count }), most.count > 0 {
            findings.append(
                EtcdFinding(
                    .hiddenKeys,
                    "\(most.count) hidden keys: \(Self.list(most.names, of: most.count))",
                    why: "a migration drops them silently",
                    remedy: hiddenRemedy
                )
            )
            if requirements.policy(of: .hiddenKeys) == .copy { findings += uncopied(found) }
        }
        let isCopied = requirements.policy(of: .hiddenKeys) == .copy
        for node in nodes {
            guard let facts = facts[node.name], (try? facts.fingerprint.get()) != nil else { continue }
            let hidden = facts.node.hidden
            let unknown = hidden.candidates - hidden.answered
            if hidden.walFiles == 0 {
                findings.append(
                    EtcdFinding(
                        .hiddenKeys,
                        host: node.name,
                        "the WAL cannot be read, so hidden keys were not looked for",
                        remedy: "use become: true, and set etcd_wal_dir where it is not in the data dir",
                        isFixed: isCopied
                    )
                )
            } else if unknown > 0 {
                findings.append(
                    EtcdFinding(
                        .hiddenKeys,
                        host: node.name,
                        "\(unknown) of \(hidden.candidates) hidden paths that were written once could not be asked for",
                        why: hidden.refusal ?? "more are too many to be asked for one by one",
                        remedy: isCopied && hidden.refusal == nil
                            ? "all of them are when they are copied"
                            : "allow hidden_keys only where you know that none is left",
                        isFixed: isCopied && hidden.refusal != nil
                    )
                )
            }
        }
        return findings
    }

    private var hiddenRemedy: String {
        switch requirements.policy(of: .hiddenKeys) {
        case .copy: "they are written to v3 at the end"
        case .skip: "they are left out"
        default: "copy them to v3 with hidden_keys: copy, or leave them out with skip"
        }
    }

    /// What a copy of hidden keys would not keep as it is.
    private func uncopied(_ found: [HiddenKeys]) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        if let most = found.max(by: { $0.expiring < $1.expiring }), most.expiring > 0 {
            findings.append(
                EtcdFinding(
                    .ttlKeys,
                    "\(most.expiring) hidden keys or directories have a TTL: "
                        + Self.list(most.expiringNames, of: most.expiring),
                    why: "what is copied of them is permanent, unless ttl_keys says skip or lease",
                    remedy: "remove them, or leave them out with ttl_keys: skip, or lease, which gives them leases"
                )
            )
        }
        if let most = found.max(by: { $0.altered < $1.altered }), most.altered > 0 {
            findings.append(
                EtcdFinding(
                    .nonUTF8,
                    "\(most.altered) hidden keys hold bytes that are not UTF-8: "
                        + Self.list(most.alteredNames, of: most.altered),
                    why: "the v2 API tells each such byte as U+FFFD",
                    remedy: "write them anew as text, as in base64"
                )
            )
        }
        return findings
    }

    private func altered() -> [EtcdFinding] {
        guard let most = prints.max(by: { $0.alteredKeys < $1.alteredKeys }), most.alteredKeys > 0 else { return [] }
        return [
            EtcdFinding(
                .nonUTF8,
                "\(most.alteredKeys) keys hold bytes that are not UTF-8: "
                    + Self.list(most.alteredNames, of: most.alteredKeys),
                why: "each such byte is migrated as U+FFFD, and a restart from a snapshot does the same to v2",
                remedy: "write them anew as text, as in base64"
            )
        ]
    }

    private func users() -> [EtcdFinding] {
        guard let users = facts.values.compactMap(\.v2Users).max(by: { $0.weight < $1.weight }), users.weight > 0
        else { return [] }
        var names = (users.users.map { "users/\($0)" } + users.roles.map { "roles/\($0)" })
        var remark = ""
        if users.isEnabled, names.isEmpty {
            names = Set(facts.values.flatMap(\.node.storedUsers)).sorted()
            remark = names.isEmpty ? "" : ", by the members' files"
        }
        let list = names.isEmpty ? "" : ": " + Self.list(Array(names.prefix(10)), of: names.count) + remark
        return [
            EtcdFinding(
                .v2Users,
                (users.isEnabled ? "v2 authentication is on" : "v2 users or roles exist") + list,
                why: "v2 users and roles are not migrated, and v3 is open until it has its own",
                remedy: "set up v3 users and roles after the migration"
            )
        ]
    }

    private func empty() -> [EtcdFinding] {
        guard let most = prints.max(by: { $0.emptyDirectories < $1.emptyDirectories }), most.emptyDirectories > 0
        else { return [] }
        return [
            EtcdFinding(
                .emptyDirectories,
                "\(most.emptyDirectories) directories are empty, or hold hidden keys only: "
                    + Self.list(most.emptyDirectoryNames, of: most.emptyDirectories),
                why: "v3 has no directories, they are dropped",
                remedy: "nothing is to be done, unless a client looks for the directory itself"
            )
        ]
    }

    private func snapshots() -> [EtcdFinding] {
        let bare = nodes.filter { facts[$0.name]?.node.snapshotCount == 0 }.map(\.name)
        if bare.isEmpty { return [] }
        return [
            EtcdFinding(
                .snapshotFile,
                "no snapshot exists on \(bare.joined(separator: ", "))",
                why:
                    "a member that is added after the migration gets no migrated data until one was taken (etcd #8804)",
                remedy: "take one afterwards: restart each member once with --snapshot-count=1, and write a few keys"
            )
        ]
    }

    /// A name in which nothing ends the line or moves the cursor.
    private static func visible(_ name: String) -> String {
        name.unicodeScalars.map { scalar in
            scalar.properties.generalCategory == .control
                ? "\\u{" + String(scalar.value, radix: 16) + "}" : String(scalar)
        }
        .joined()
    }

    private static func list(_ names: [String], of count: Int) -> String {
        names.map(visible).joined(separator: ", ") + (count > names.count ? " and \(count - names.count) more" : "")
    }
}

extension V2Users {
    /// How much a migration would leave behind.
    fileprivate var weight: Int { (isEnabled ? 1 : 0) + users.count + roles.count }
}

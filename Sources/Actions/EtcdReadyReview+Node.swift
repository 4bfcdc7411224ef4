// SPDX-License-Identifier: Apache-2.0

import Etcd

extension EtcdReadyReview {
    /// Whether the files are those of the running member, and the programs are there.
    func place(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        func refuse(_ check: PreflightCheck, _ what: String, why: String? = nil, remedy: String) {
            findings.append(EtcdFinding(check, host: node.name, what, why: why, remedy: remedy))
        }
        let (settings, found) = (node.settings, facts.node)
        if found.process == nil {
            refuse(
                .process,
                "no etcd process was found behind \(settings.endpoint)",
                why: "so it is not proven that \(settings.dataDir) is its data dir",
                remedy: "use become: true, and the etcd_endpoint of this very node"
            )
        } else {
            if !found.isDataDirOpen {
                refuse(
                    .dataDir,
                    "etcd_data_dir \(settings.dataDir) is not the running member's",
                    why: found.openDataDir.map { "it has \($0) open" },
                    remedy: "set etcd_data_dir for this host"
                )
            }
            if !found.isWALDirOpen {
                refuse(
                    .walDir,
                    "the WAL is not in \(settings.walDir ?? settings.dataDir + "/member/wal")",
                    why: found.openWALDir.map { "the member has \($0) open" },
                    remedy: "set etcd_wal_dir for this host"
                )
            }
        }
        if !found.hasDatabase, found.openDataDir == nil || found.isDataDirOpen {
            refuse(
                .databaseFile,
                "\(settings.dataDir)/member/snap/db is missing",
                why: "a migration would make one without its consistent index (etcd #9480)",
                remedy: "restart the member; where it does not come up, replace it"
            )
        }
        if found.isDataDirOpen, let owner = found.databaseOwner, owner != settings.user {
            refuse(
                .dataOwner,
                "the db belongs to \(owner), not to \(settings.user)",
                remedy: "set etcd_user for this host"
            )
        }
        if let user = found.processUser, user != settings.user, user != found.databaseOwner {
            refuse(.dataOwner, "etcd runs as \(user), not as \(settings.user)", remedy: "set etcd_user for this host")
        }
        if !found.missingTools.isEmpty {
            refuse(.tools, "missing on the node: \(found.missingTools.joined(separator: ", "))", remedy: "install them")
        }
        return findings
    }

    /// Flags, room and modes.
    func conditions(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings = facts.node.corruptionChecks.map { check in
            EtcdFinding(
                .corruptCheck,
                host: node.name,
                "corruption checks are on: \(check)",
                why: "members differ during the roll, and a CORRUPT alarm would block them",
                remedy: "restart the member without it; it may be turned on again afterwards"
            )
        }
        let modes = [
            ("\(node.settings.dataDir)", facts.node.dataDirMode),
            ("\(node.settings.dataDir)/member/snap/db", facts.node.databaseMode),
        ]
        for case (let path, let mode?) in modes where !mode.hasSuffix("00") {
            findings.append(
                EtcdFinding(
                    .fileModes,
                    host: node.name,
                    "\(path) has mode \(mode)",
                    why: "others than etcd's user may read or enter it, and a migration keeps that",
                    remedy: "chmod go-rwx it"
                )
            )
        }
        return findings + room(node, facts)
    }

    private func room(_ node: EtcdNode, _ facts: MemberFacts) -> [EtcdFinding] {
        var findings: [EtcdFinding] = []
        let found = facts.node
        // In a db, a key takes up to twice what it is long (20,000 keys of 1 kB: 43 MB).
        let growth = 2 * ((try? facts.fingerprint.get().bytes) ?? 0)
        let text = DiskRequirement.text(bytes:)
        func add(_ check: PreflightCheck, _ what: String, why: String, remedy: String, isMinor: Bool = false) {
            findings.append(
                EtcdFinding(check, host: node.name, what, why: why, remedy: remedy, isMinor: isMinor)
            )
        }
        let quota = found.quotaBytes.flatMap { $0 == 0 ? nil : $0 } ?? Self.defaultQuota
        let size = Int(facts.status.databaseSize)
        if quota > 0, size + growth > quota {
            add(
                .quota,
                "the db of \(text(size)) grows to up to \(text(size + growth)), over its quota of \(text(quota))",
                why: "the first v3 write would raise NOSPACE",
                remedy: "restart the members with a larger --quota-backend-bytes",
                isMinor: size + growth / 2 <= quota
            )
        }
        guard let free = found.freeKilobytes.map({ $0 * 1024 }) else { return findings }
        if free < growth {
            add(
                .dataDisk,
                "\(text(free)) free for the migrated keys, which take up to \(text(growth))",
                why: "the migration would end in the middle",
                remedy: "make room on the disk of \(node.settings.dataDir)"
            )
        }
        if let inodes = found.freeInodes, inodes < 100 {
            add(
                .dataDisk,
                "\(inodes) inodes are free on the disk of \(node.settings.dataDir)",
                why: "no new file can be made",
                remedy: "delete small files there"
            )
        }
        if let needed = found.copyKilobytes.map({ $0 * 1024 }), free < needed {
            add(
                .copyDisk,
                "\(text(free)) free beside \(node.settings.dataDir), and a copy with its migration takes \(text(needed))",
                why: "the migration is made on a copy",
                remedy: "make room there, or migrate in place"
            )
        }
        return findings
    }

    /// etcd's own (`DefaultQuotaBytes`); a negative one turns quotas off.
    private static let defaultQuota = 2 * 1024 * 1024 * 1024
}

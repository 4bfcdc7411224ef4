// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks

/// One of the things that preflight looks at, by the name that findings carry and a playbook writes.
///
/// In the order in which findings are told: what makes everything after it unsure comes first.
enum PreflightCheck: String, Sendable, CaseIterable {
    case reachable, tools, process
    case dataDir = "data_dir"
    case walDir = "wal_dir"
    case dataOwner = "data_owner"
    case databaseFile = "database_file"
    case membership
    case unstartedMembers = "unstarted_members"
    case learners, leader, health, alarms, versions, etcdctl, transformer
    case v2API = "v2_api"
    case v3Auth = "v3_auth"
    case raftConvergence = "raft_convergence"
    case fingerprints
    case v3Store = "v3_store"
    case leases
    case ttlKeys = "ttl_keys"
    case ttlDirectories = "ttl_directories"
    case hiddenKeys = "hidden_keys"
    case nonUTF8 = "non_utf8"
    case corruptCheck = "corrupt_check"
    case quota
    case dataDisk = "data_disk"
    case copyDisk = "copy_disk"
    case clockSkew = "clock_skew"
    case v2Users = "v2_users"
    case emptyDirectories = "empty_directories"
    case snapshotFile = "snapshot_file"
    case fileModes = "file_modes"

    /// What is done with what a check finds.
    enum Policy: String, Sendable, CaseIterable {
        case refuse, warn, allow
        /// For `ttl_keys` and `hidden_keys`: they are left out of the migration. With `lease` those that expire get leases at
        /// the end, with `copy` hidden ones are written to v3 then.
        case skip, lease, copy

        var severity: EtcdFinding.Severity {
            switch self {
            case .refuse: .refusal
            case .warn: .warning
            case .allow, .skip, .lease, .copy: .allowed
            }
        }
    }

    var name: String { rawValue }

    /// How a playbook writes it below `etcd_ready`.
    var parameter: String {
        switch self {
        case .ttlKeys, .hiddenKeys, .v3Store: name
        default: "checks.\(name)"
        }
    }

    /// The checks that stand below `checks`, in the order of their names.
    static let inMapping = allCases.filter { $0.parameter.hasPrefix("checks.") }.sorted { $0.name < $1.name }

    /// The mapping `checks` of a playbook.
    static let parameters: [ActionSchema.Parameter] = inMapping.map { check in
        let rule = check.rule
        if let necessity = rule.necessity {
            return .init(
                check.name,
                .fixed(Policy.refuse.rawValue, why: necessity),
                "\(rule.what). Always refused: \(necessity)."
            )
        }
        return .init(
            check.name,
            .choice(["refuse", "warn", "allow"]),
            "\(rule.what). Unless it is written: `\(rule.policy.rawValue)`."
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

extension PreflightCheck {
    /// What a check is about, and what is done about it unless a playbook says otherwise.
    struct Rule: Sendable {
        /// What is found.
        var what: String
        var policy: Policy
        /// Why a playbook cannot ask for less than `refuse`; `nil` where it can.
        var necessity: String?
        /// What would happen.
        var why: String
        /// What an operator can do.
        var remedy: String

        static func always(_ what: String, because necessity: String, why: String, remedy: String) -> Rule {
            Rule(what: what, policy: .refuse, necessity: necessity, why: why, remedy: remedy)
        }

        static func by(_ policy: Policy, _ what: String, why: String, remedy: String) -> Rule {
            Rule(what: what, policy: policy, why: why, remedy: remedy)
        }
    }

    var rule: Rule {
        switch self {
        case .reachable, .tools, .process, .dataDir, .walDir, .dataOwner, .databaseFile: nodeRule
        case .membership, .unstartedMembers, .learners, .leader, .health, .alarms, .raftConvergence, .fingerprints:
            clusterRule
        case .versions, .etcdctl, .transformer, .v2API, .v3Auth: programRule
        case .v3Store, .leases, .ttlKeys, .ttlDirectories, .hiddenKeys, .nonUTF8, .v2Users, .emptyDirectories:
            contentRule
        case .corruptCheck, .quota, .dataDisk, .copyDisk, .clockSkew, .snapshotFile, .fileModes: conditionRule
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// What a member and its node must have room, settings and time for.
extension PreflightCheck {
    var conditionRule: Rule {
        switch self {
        case .corruptCheck:
            .by(
                .refuse,
                "Corruption checks are on",
                why: "members differ during the roll, and a CORRUPT alarm blocks them",
                remedy: "restart the members without them; turn them on again afterwards"
            )
        case .quota:
            .by(
                .refuse,
                "The db with the migrated keys would be larger than `--quota-backend-bytes`",
                why: "the first v3 write raises NOSPACE",
                remedy: "restart the members with a larger quota, or compact and defragment"
            )
        case .dataDisk:
            .by(
                .refuse,
                "No room on the data directory's disk for the migrated keys",
                why: "the migration ends in the middle",
                remedy: "make room"
            )
        case .copyDisk:
            .by(
                .refuse,
                "No room beside the data directory for a copy of WAL and snapshots and its migration",
                why: "`etcd_prepare` needs it",
                remedy: "make room, or migrate in place"
            )
        case .clockSkew:
            .by(
                .refuse,
                "The nodes' clocks differ by more than a second; only a warning where no key expires",
                why: "the leader's clock decides when keys expire",
                remedy: "synchronize the clocks"
            )
        case .snapshotFile:
            .by(
                .warn,
                "A member has no `.snap`",
                why: "a member that is added after the migration gets no migrated key (etcd #8804)",
                remedy: "take one after the migration: restart each member with `--snapshot-count=1`"
            )
        default:
            .by(
                .warn,
                "Others than etcd's user may read the data",
                why: "a migration keeps the modes as they are",
                remedy: "`chmod 700` the directory and `chmod 600` the db"
            )
        }
    }
}

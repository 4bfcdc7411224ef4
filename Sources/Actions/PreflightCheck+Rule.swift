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

    private var nodeRule: Rule {
        switch self {
        case .tools:
            .always(
                "A program that pawl's scripts need is missing on a node",
                because: "a script would stop in the middle",
                why: "a step fails half way",
                remedy: "install it"
            )
        case .process:
            .always(
                "No etcd process is found behind the client URL on its node",
                because: "nothing would show which files are the member's",
                why: "another member's files could be migrated",
                remedy: "use `become: true`, and the `etcd_endpoint` of this very node"
            )
        case .dataDir:
            .always(
                "`etcd_data_dir` is not the directory that the running member has open",
                because: "another directory would be migrated",
                why: "etcdctl migrates whatever it finds in the directory that it is given",
                remedy: "set `etcd_data_dir` for the host"
            )
        case .walDir:
            .always(
                "`etcd_wal_dir` is not where the running member has its WAL open",
                because: "another WAL would be migrated",
                why: "the keys are read from the WAL",
                remedy: "set `etcd_wal_dir` for the host"
            )
        case .dataOwner:
            .always(
                "The data belongs to, or etcd runs as, another user than `etcd_user`",
                because: "etcd could not open what that user wrote",
                why: "a db that is made by another user cannot be opened by etcd",
                remedy: "set `etcd_user` for the host"
            )
        case .databaseFile:
            .always(
                "`member/snap/db` is missing",
                because: "a migration would make a new one, without its consistent index",
                why: "etcd 3.2 and later panic with a snapshot and no db (etcd #9480)",
                remedy: "restart the member; where it does not come up, replace it"
            )
        default:
            .always(
                "A node cannot be asked, or its etcd does not answer",
                because: "nothing is known of the member",
                why: "each member is migrated from its own files",
                remedy: "mend the connection, `etcd_endpoint` or its certificates"
            )
        }
    }

    private var clusterRule: Rule {
        switch self {
        case .unstartedMembers:
            .always(
                "A member was added and never started",
                because: "it counts for the quorum and cannot be migrated",
                why: "it would start empty beside migrated members (etcd #8804)",
                remedy: "start or remove it"
            )
        case .learners:
            .always(
                "A member is a learner",
                because: "it may be promoted with data that nobody compared",
                why: "a learner has no vote and may be behind",
                remedy: "promote or remove it first"
            )
        case .leader:
            .always(
                "The members do not follow one leader",
                because: "there is no quorum to be kept",
                why: "a cluster that elects cannot spare a member",
                remedy: "wait for the election, or repair the network between the members"
            )
        case .health:
            .always(
                "A member is not healthy",
                because: "stopping another one could end the quorum",
                why: "the roll takes members out one by one",
                remedy: "repair it first"
            )
        case .alarms:
            .always(
                "An alarm is raised",
                because: "it blocks writes, and CORRUPT says that members differ",
                why: "the migrated cluster would refuse v3 writes",
                remedy: "cure the cause, then `etcdctl alarm disarm`"
            )
        case .raftConvergence:
            .always(
                "A member's raft index does not follow the others'",
                because: "it would be migrated without what it has not got",
                why: "each member is migrated from its own log",
                remedy: "repair the member"
            )
        case .fingerprints:
            .always(
                "The members hold different v2 keys",
                because: "they would hold different v3 keys, and etcd would not notice",
                why: "each member is migrated from its own files",
                remedy: "replace the member that is wrong"
            )
        default:
            .always(
                "The inventory's hosts are not exactly the members of one cluster, or the member lists differ",
                because: "a member that is left out stays without the migrated keys",
                why: "members with different data, all of them green",
                remedy: "make the inventory's hosts the members of one cluster, one host each, in any order"
            )
        }
    }

    private var programRule: Rule {
        switch self {
        case .etcdctl:
            .always(
                "`etcdctl` cannot migrate this cluster",
                because: "those before 3.0.14 write a wrong index, and those from 3.5 on have no `migrate`",
                why: "kubernetes #36056; etcd #12971",
                remedy:
                    "`upload` one of 3.0.14 to 3.4, not older than the cluster, and set `etcdctl` to it"
            )
        case .transformer:
            .always(
                "The transformer is missing on a node, cannot be read or run there by `etcd_user`, or is another one than elsewhere",
                because: "each member's keys go through the program of its own node",
                why: "a migration fails on some members only, or members with different data, all of them green",
                remedy: "put the same program on every node, as with `upload` in `tools`, mode 755"
            )
        case .v2API:
            .always(
                "The v2 API is off or refuses",
                because: "the members' keys could not be compared",
                why: "nothing would show that the right keys were migrated",
                remedy: "start etcd with `--enable-v2=true`; since 3.4.0 it is off by default"
            )
        case .v3Auth:
            .always(
                "The v3 API wants a user, and none is named, or not one with the role root",
                because: "the v3 store cannot be read without one, before and after",
                why: "nothing would show that the right keys were migrated",
                remedy:
                    "set `etcd_auth_user` and `etcd_auth_password_file`, or `etcdctl auth disable` for the migration"
            )
        default:
            .always(
                "Versions that differ, are outside of `versions`, or are 3.5 and later",
                because: "what a migration does is known for 3.0.14 to 3.4 only",
                why: "`etcdctl migrate` was removed in 3.5.0; 3.0.0 to 3.0.13 migrate wrongly",
                remedy: "finish the upgrade; from 3.5 on copy the keys through both APIs while nothing writes"
            )
        }
    }

    private var contentRule: Rule {
        switch self {
        case .leases:
            .by(
                .refuse,
                "v3 leases exist",
                why: "somebody uses the v3 API already; members differ while they are migrated",
                remedy: "stop v3 clients and revoke their leases"
            )
        case .ttlKeys:
            .by(
                .refuse,
                "Keys expire",
                why: "they expire during the roll on some members only, and what is migrated is permanent",
                remedy: "remove them, or `skip` them: left out with `no_ttl`"
            )
        case .ttlDirectories:
            .by(
                .refuse,
                "Directories expire",
                why: "the keys in them are migrated as permanent ones, even with `no_ttl`",
                remedy: "remove the TTL: `PUT` the directory with `prevExist=true` and an empty `ttl`"
            )
        case .hiddenKeys:
            .by(
                .refuse,
                "Keys below a name that begins with `_`",
                why: "a migration drops them silently",
                remedy: "`copy` them: written to v3 at the end; or `skip` them"
            )
        case .nonUTF8:
            .by(
                .refuse,
                "Names or values that are not UTF-8",
                why: "each such byte becomes U+FFFD",
                remedy: "write them anew in another form, as base64"
            )
        case .v2Users:
            .by(
                .warn,
                "v2 users and roles exist, or must log in",
                why: "they are not migrated: v3 is open to everybody until it has users of its own",
                remedy: "set up v3 users and roles after the migration"
            )
        case .emptyDirectories:
            .by(
                .warn,
                "Directories without a key that is migrated",
                why: "v3 has no directories, they are dropped",
                remedy: "nothing, unless a client looks for the directory"
            )
        default:
            .by(
                .refuse,
                "The v3 store of a member is not empty",
                why: "a migration overwrites v3 keys whose revisions collide with v2 indexes",
                remedy: "`v3_store: any`, where the v3 keys may be overwritten"
            )
        }
    }

    private var conditionRule: Rule {
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

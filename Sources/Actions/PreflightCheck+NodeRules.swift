// SPDX-License-Identifier: Apache-2.0

/// What must be known of a member's node and its files.
extension PreflightCheck {
    var nodeRule: Rule {
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
}

// SPDX-License-Identifier: Apache-2.0

/// The programs that a migration is made with, and the APIs that prove it.
extension PreflightCheck {
    var programRule: Rule {
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
}

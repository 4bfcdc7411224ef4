// SPDX-License-Identifier: Apache-2.0

/// What the members must be to each other.
extension PreflightCheck {
    var clusterRule: Rule {
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
}

// SPDX-License-Identifier: Apache-2.0

import Etcd
import Testing

/// What etcdctl said of a change of the member list, as etcd 3.3.25 and 3.4.23 have it.
struct MembershipChangeTests {
    @Test(arguments: [
        "Error: etcdserver: unhealthy cluster",
        "Error: etcdserver: re-configuration failed due to not enough started members",
        "Error: etcdserver: can only promote a learner member which is in sync with leader",
        "Error: etcdserver: request timed out",
        "Error: context deadline exceeded", "Error: etcdserver: Peer URLs already exists",
        "Error: etcdserver: member not found", "Error: etcdserver: can only promote a learner member",
    ])
    func `what passes is asked for again`(_ said: String) {
        #expect(MembershipChange.Outcome(code: "1", said: said) == .notYet(said))
    }

    @Test(arguments: [
        "Error: etcdserver: permission denied",
        "Error: etcdserver: too many learner members in cluster", "", "unknown flag: --learner",
    ])
    func `what does not pass is a failure`(_ said: String) {
        #expect(MembershipChange.Outcome(code: "1", said: said) == nil)
        #expect(MembershipChange.Outcome(code: nil, said: said) == nil)
        #expect(MembershipChange.Outcome(code: "0", said: said) == .done)
        #expect(MembershipChange.Outcome(code: "124", said: said) == .notYet("etcdctl did not end in time"))
    }
}

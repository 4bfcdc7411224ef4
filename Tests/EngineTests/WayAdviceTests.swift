// SPDX-License-Identifier: Apache-2.0

import Engine
import Etcd
import Testing

/// Which way of migration fits which cluster.
struct WayAdviceTests {
    private static func look(
        _ hosts: [String] = ["n1", "n2", "n3"],
        permanent: String = "p",
        temporary: (String, Int)? = nil,
        directories: Int = 0,
        revision: Int64 = 1
    ) -> [String: MemberStanding] {
        let standing = MemberStanding(
            revision: revision,
            permanent: permanent,
            temporary: temporary?.0,
            temporaryKeys: temporary?.1 ?? 0,
            ttlDirectories: directories
        )
        return Dictionary(uniqueKeysWithValues: hosts.map { ($0, standing) })
    }

    @Test func `without TTL keys and writers the members are rolled`() {
        let advice = WayAdvice.choose(first: Self.look(), second: Self.look())
        #expect(advice.way == .rolling)
        #expect(advice.variables.isEmpty && advice.remarks.isEmpty)
        #expect(advice.reason.contains("no key has a TTL"))
    }

    @Test(arguments: [1, 12])
    func `keys with a TTL are migrated with all members stopped`(count: Int) {
        let look = Self.look(temporary: ("t", count))
        let advice = WayAdvice.choose(first: look, second: look)
        #expect(advice.way == .stopped)
        #expect(advice.reason.hasPrefix(count == 1 ? "1 key with a TTL" : "12 keys with a TTL"))
        #expect(advice.variables == ["ttl_keys=warn"])
    }

    @Test func `keys that expire from second to second are migrated on one member`() {
        let (before, after) = (Self.look(temporary: ("t", 12)), Self.look(temporary: ("u", 11)))
        #expect(WayAdvice.choose(first: before, second: after).way == .reseed)
        // One member by itself has nobody to differ from.
        let alone = WayAdvice.choose(first: before.filter { $0.key == "n1" }, second: after.filter { $0.key == "n1" })
        #expect(alone.way == .stopped)
    }

    @Test func `a directory with a TTL counts like a key with one, and is said`() {
        let advice = WayAdvice.choose(first: Self.look(directories: 1), second: Self.look(directories: 1))
        #expect(advice.way == .stopped)
        #expect(advice.remarks.contains { $0.contains("remove its TTL") })
    }

    @Test(arguments: [("q", Int64(1)), ("p", Int64(2))])
    func `writers are told of, whichever way fits`(permanent: String, revision: Int64) {
        let advice = WayAdvice.choose(first: Self.look(), second: Self.look(permanent: permanent, revision: revision))
        #expect(advice.way == .rolling)
        #expect(advice.remarks.contains { $0.contains("stop the writers first") })
    }

    @Test func `a member without room for a copy is told of when members are rolled`() {
        var look = Self.look()
        look["n2"] = MemberStanding(permanent: "p", hasRoomBeside: false)
        look["n3"] = MemberStanding(permanent: "p", dataKilobytes: 2048, freeKilobytes: 1024)
        let advice = WayAdvice.choose(first: look, second: look)
        #expect(advice.remarks.count == 2)
        #expect(advice.remarks[0].hasPrefix("n2: its data directory is a file system of its own"))
        #expect(advice.remarks[1].hasPrefix("n3: 1 MiB are free beside 2 MiB of data"))
        let expiring = look.mapValues { standing in
            var standing = standing
            (standing.temporary, standing.temporaryKeys) = ("t", 1)
            return standing
        }
        #expect(WayAdvice.choose(first: expiring, second: expiring).remarks.allSatisfy { !$0.contains("MiB") })
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Fleet

struct SSHConfigOwnershipTests {
    private static let accounts = SSHConfigOwnership.Accounts(
        firstMembers: { [0: [0], 1000: [1000], 1001: [1001], 100: [1000, 1001], 7: [1000]][$0] ?? [] },
        listed: {
            [0: [], 1000: [], 1001: [], 100: [], 50: [], 51: ["op"], 52: ["other"], 53: ["op", "other"], 7: ["op"]][$0]
        },
        name: { [0: "root", 1000: "op", 1001: "other"][$0] }
    )

    private func isOwn(_ owner: uid_t, _ group: gid_t, _ mode: mode_t) -> Bool {
        SSHConfigOwnership(owner: owner, group: group, mode: mode).isOwn(of: 1000, Self.accounts)
    }

    @Test(arguments: [mode_t(0o600), 0o644, 0o755, 0o100640])
    func `what its owner alone may write to is followed where that is the user or root`(mode: mode_t) {
        #expect(isOwn(1000, 100, mode) && isOwn(0, 0, mode) && isOwn(1000, 9999, mode))
        #expect(!isOwn(1001, 1000, mode))
    }

    @Test func `what anybody may write to is not followed`() {
        #expect(!isOwn(1000, 1000, 0o602) && !isOwn(0, 0, 0o666))
    }

    @Test func `a group in which the user is alone may write to a file`() {
        for group: gid_t in [1000, 51, 7] { #expect(isOwn(1000, group, 0o664), "\(group)") }
        #expect(isOwn(0, 1000, 0o664))
    }

    @Test func `no other group may`() {
        // Of another, of several, without a member, of those that list others, and one that is not there.
        for group: gid_t in [1001, 0, 100, 50, 52, 53, 9999] { #expect(!isOwn(1000, group, 0o664), "\(group)") }
        #expect(!isOwn(0, 51, 0o664))
    }

    @Test func `the accounts of this machine are found`() {
        let local = SSHConfigOwnership.Accounts.local
        #expect(local.firstMembers(0).contains(0) && local.name(0) == "root")
        #expect(local.listed(0) != nil && local.listed(4_000_000_000) == nil)
    }
}

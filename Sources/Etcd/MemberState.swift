// SPDX-License-Identifier: Apache-2.0

/// What a gate looks at: a member's health, and digests of what its stores hold.
package struct MemberState: Sendable, Hashable {
    package var health: MemberHealth
    /// The size of the v3 store; `nil` where etcd did not tell, as with authentication on.
    package var count: RangeCount?
    /// `nil` when it was not asked for.
    package var fingerprint: Fingerprint?
    /// `nil` when it was not asked for, or refused.
    package var hash: HashKV?
    /// What was said instead of the hash.
    package var hashRefusal: String?

    package init(
        health: MemberHealth,
        count: RangeCount?,
        fingerprint: Fingerprint?,
        hash: HashKV?,
        hashRefusal: String? = nil
    ) {
        self.health = health
        self.count = count
        self.fingerprint = fingerprint
        self.hash = hash
        self.hashRefusal = hashRefusal
    }

    /// Whether the member has not reached the revision that was asked for, in etcd's words.
    var isBehind: Bool { hashRefusal?.contains("future revision") == true }

    package var status: EndpointStatus { health.status }
}

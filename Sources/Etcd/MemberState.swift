// SPDX-License-Identifier: Apache-2.0

/// What a gate looks at: a member's health, and digests of what its stores hold.
package struct MemberState: Sendable, Hashable {
    package var health: MemberHealth
    /// The size of the v3 store; `nil` where etcd did not tell, as with authentication on.
    package var count: RangeCount?
    /// `nil` when it was not asked for.
    package var fingerprint: Fingerprint?
    /// `nil` when it was not asked for.
    package var hash: HashKV?

    package init(health: MemberHealth, count: RangeCount?, fingerprint: Fingerprint?, hash: HashKV?) {
        self.health = health
        self.count = count
        self.fingerprint = fingerprint
        self.hash = hash
    }

    package var status: EndpointStatus { health.status }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto

/// The ids of a run's leases, so that they are known for its own whatever became of the controller that granted them.
///
/// etcd takes the id that it is asked for. The upper 40 bits come from the run, the lower 23 count.
package struct LeaseFamily: Sendable, Hashable {
    private let base: Int64
    private static let width: Int64 = 23

    package init(run: String) {
        let bits = SHA256.hash(data: Array(run.utf8)).prefix(5).reduce(into: Int64(0)) { $0 = $0 << 8 | Int64($1) }
        base = bits << Self.width
    }

    package func contains(_ id: Int64) -> Bool { id >> Self.width == base >> Self.width }

    /// So many ids that none of these leases has.
    package func ids(_ count: Int, beside taken: [Int64]) -> [Int64] {
        let first = (taken.filter(contains).max() ?? base) + 1
        return (0..<Int64(count)).map { first + $0 }
    }
}

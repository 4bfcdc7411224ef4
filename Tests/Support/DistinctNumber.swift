// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Numbers for names and addresses that tests of this machine must not share, which chance alone does share at times.
package enum DistinctNumber {
    /// Processes do not begin at the same one.
    private static let count = Mutex(Int.random(in: 0..<62_500))

    /// One more than this process has had.
    private static func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }

    /// A name that no other test of this process, or of another one that runs, is given.
    ///
    /// - Parameter prefix: what it begins with.
    /// - Returns: the name, of letters that the name of a user may have.
    package static func name(_ prefix: String) -> String { "\(prefix)\(getpid())-\(next())" }

    /// The first three parts of an address of the loopback interface.
    ///
    /// - Returns: one that no other of the last 62,500 of this process has; one of another process might.
    package static func network() -> String {
        let number = next() % 62_500
        return "127.\(number / 250 + 1).\(number % 250 + 1)"
    }
}

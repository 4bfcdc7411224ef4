// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Tells how much of a file is on the node, once a second at most.
final class UploadProgress: Sendable {
    private let what: String
    private let tell: @Sendable (String) -> Void
    private let next = Mutex(ContinuousClock.now + .seconds(1))

    init(_ what: String, tell: @escaping @Sendable (String) -> Void) {
        self.what = what
        self.tell = tell
    }

    func note(_ done: Int, of total: Int?) {
        let isDue = next.withLock { next in
            guard ContinuousClock.now >= next else { return false }
            next = .now + .seconds(1)
            return true
        }
        guard isDue else { return }
        let style = ByteCountFormatStyle(style: .binary)
        tell("\(what): \(style.format(Int64(done)))" + (total.map { " of \(style.format(Int64($0)))" } ?? ""))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Remote
import Synchronization
import TestSupport

/// A way to a node that is cut before the third change, or whichever: what was sent until then is done.
///
/// A late cut lets that change be done, too, and loses its answer.
final class CutHost: ForwardingHost {
    let inner: any RemoteHost
    private let left: Mutex<Int>
    private let isLate: Bool

    init(inner: any RemoteHost, after changes: Int, isLate: Bool = false) {
        self.inner = inner
        self.isLate = isLate
        left = Mutex(changes)
    }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        let isCut =
            command.effect == .mutating
            && left.withLock { left in
                left -= 1
                return left < 0
            }
        if isCut, isLate { _ = try await inner.run(command) }
        if isCut { throw RemoteError(.inDoubt, host: name, "\(command.label): the connection was cut") }
        return try await inner.run(command)
    }
}

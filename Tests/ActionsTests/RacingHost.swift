// SPDX-License-Identifier: Apache-2.0

import Remote
import Synchronization
import TestSupport

/// A way to a node on which somebody else is quicker: something happens right before the first change.
final class RacingHost: ForwardingHost {
    let inner: any RemoteHost
    private let race: @Sendable () async -> Void
    private let isOver = Mutex(false)

    init(inner: any RemoteHost, before race: @escaping @Sendable () async -> Void) {
        self.inner = inner
        self.race = race
    }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        if command.effect == .mutating,
            isOver.withLock({ over in
                defer { over = true }; return !over
            })
        {
            await race()
        }
        return try await inner.run(command)
    }
}

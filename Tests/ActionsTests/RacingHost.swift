// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Synchronization

/// A way to a node on which somebody else is quicker: something happens right before the first change.
final class RacingHost: RemoteHost {
    private let inner: any RemoteHost
    private let race: @Sendable () async -> Void
    private let isOver = Mutex(false)

    init(inner: any RemoteHost, before race: @escaping @Sendable () async -> Void) {
        self.inner = inner
        self.race = race
    }

    var name: String { inner.name }

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

    func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) {
        try await inner.upload(file, to: path, mode: mode, timeout: timeout)
    }

    func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) {
        try await inner.download(path, to: file, timeout: timeout)
    }

    func elevated(as user: String) -> any RemoteHost { self }
    func close() async {}
}

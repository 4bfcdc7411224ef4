// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Synchronization

/// A way to a node that is cut before the third change, or whichever: what was sent until then is done.
///
/// A late cut lets that change be done, too, and loses its answer.
final class CutHost: RemoteHost {
    private let inner: any RemoteHost
    private let left: Mutex<Int>
    private let isLate: Bool

    init(inner: any RemoteHost, after changes: Int, isLate: Bool = false) {
        self.inner = inner
        self.isLate = isLate
        left = Mutex(changes)
    }

    var name: String { inner.name }

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

    func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) {
        try await inner.upload(file, to: path, mode: mode, timeout: timeout)
    }

    func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) {
        try await inner.download(path, to: file, timeout: timeout)
    }

    func elevated(as user: String) -> any RemoteHost { self }
    func close() async {}
}

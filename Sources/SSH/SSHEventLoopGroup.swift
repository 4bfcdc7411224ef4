// SPDX-License-Identifier: Apache-2.0

import Remote
import Synchronization

/// The few event loops that all sessions of the process share.
///
/// Their number is fixed, so a thousand hosts need no more threads than one.
package final class SSHEventLoopGroup: Sendable {
    private let loops: [SSHEventLoop]
    private let turn = Atomic<UInt>(0)

    /// Starts the given number of loops.
    ///
    /// They run as long as the process does.
    package init(loops count: Int) throws(RemoteError) {
        do {
            loops = try (0..<max(1, count)).map { try SSHEventLoop(name: "pawl-ssh-\($0)") }
        } catch {
            throw RemoteError(.unreachable, host: "localhost", "no event loop: \(error)")
        }
    }

    /// The loops of this process, or why they could not be started.
    package static let shared: Result<SSHEventLoopGroup, RemoteError> = {
        do throws(RemoteError) {
            return .success(try SSHEventLoopGroup(loops: 2))
        } catch {
            return .failure(error)
        }
    }()

    /// The loop that the next session belongs to, in turn.
    func next() -> SSHEventLoop {
        loops[Int(turn.wrappingAdd(1, ordering: .relaxed).oldValue % UInt(loops.count))]
    }
}

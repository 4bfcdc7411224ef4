// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Remote
import Synchronization

/// The few event loops that all sessions of the process share.
///
/// Their number hangs on the cores alone, so a thousand hosts need no more threads than one.
package final class SSHEventLoopGroup: Sendable {
    private let loops: [SSHEventLoop]
    private let turn = Atomic<UInt>(0)

    /// The loop that the main thread is to serve, where it is to serve one.
    private static let main = Mutex<SSHEventLoop?>(nil)

    /// Starts the given number of loops.
    ///
    /// They run as long as the process does.
    package convenience init(loops count: Int) throws(RemoteError) { try self.init(loops: count, first: nil) }

    private init(loops count: Int, first: SSHEventLoop?) throws(RemoteError) {
        do {
            let own = max(1, count) - (first == nil ? 0 : 1)
            loops = try [first].compactMap(\.self) + (0..<own).map { try SSHEventLoop(name: "pawl-ssh-\($0)") }
        } catch {
            throw RemoteError(.unreachable, host: "localhost", "no event loop: \(error)")
        }
    }

    /// The loops of this process, or why they could not be started.
    package static let shared: Result<SSHEventLoopGroup, RemoteError> = {
        do throws(RemoteError) {
            // A core is kept for everything else; a loop waits nearly all of its time.
            let cores = ProcessInfo.processInfo.activeProcessorCount
            let first = main.withLock { $0 }
            return .success(try SSHEventLoopGroup(loops: min(4, max(1, cores / 2)), first: first))
        } catch {
            return .failure(error)
        }
    }()

    /// Has the main thread serve one of the shared loops, so that it is no thread beside them; ``serve()`` must follow.
    ///
    /// To be called before anything uses ``shared``.
    package static func willBeServedByMainThread() {
        main.withLock { $0 = try? SSHEventLoop(name: nil) }
    }

    /// Serves the loop that was announced, for as long as the process lives.
    package static func serve() -> Never {
        guard let loop = main.withLock({ $0 }) else { dispatchMain() }
        loop.serve()
    }

    /// The loop that the next session belongs to, in turn.
    func next() -> SSHEventLoop {
        loops[Int(turn.wrappingAdd(1, ordering: .relaxed).oldValue % UInt(loops.count))]
    }
}

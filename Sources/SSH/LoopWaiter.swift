// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Waits on an event loop for what is no session: the time, or a descriptor.
///
/// A timer of Dispatch would cost a thread of its own.
package actor LoopWaiter {
    private nonisolated let loop: SSHEventLoop

    package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    package init(_ loops: SSHEventLoopGroup) { loop = loops.next() }

    /// Lets the time pass.
    ///
    /// - Throws: `CancellationError` when the task is cancelled.
    package func sleep(for duration: Duration) async throws {
        if await loop.wait(on: -1, for: .read, until: .now + duration) == .cancelled { throw CancellationError() }
    }

    /// Waits until there is something to read.
    ///
    /// - Returns: false when the task was cancelled.
    package func isReadable(_ descriptor: Int32) async -> Bool { await isReady(descriptor, for: .read) }

    /// Writes all of it without ever blocking the loop.
    ///
    /// A pipe that is ready takes `PIPE_BUF` bytes at once (pipe(7)), which are 4096 on Linux and 512 at least.
    ///
    /// - Returns: the number of the system's error that kept some of it from being written; `nil` where all was.
    package func write(_ bytes: [UInt8], to descriptor: Int32) async -> Int32? {
        var rest = bytes[...]
        while !rest.isEmpty {
            // What was cancelled tells its last words all the same.
            if await !isReady(descriptor, for: .write), !Task.isCancelled { return EIO }
            let piece = Array(rest.prefix(512))
            let count = Glibc.write(descriptor, piece, piece.count)
            if count < 0, errno != EINTR, errno != EAGAIN { return errno }
            rest = rest.dropFirst(max(0, count))
        }
        return nil
    }

    private func isReady(_ descriptor: Int32, for interest: SSHEventLoop.Interest) async -> Bool {
        while true {
            switch await loop.wait(on: descriptor, for: interest, until: .now + .seconds(3600)) {
            case .ready: return true
            case .cancelled: return false
            case .deadlinePassed: continue
            }
        }
    }
}

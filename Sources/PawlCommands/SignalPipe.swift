// SPDX-License-Identifier: Apache-2.0

import Foundation
import SSH
import Synchronization

/// SIGINT and SIGTERM as bytes of a pipe, which an event loop can wait for: a source of Dispatch would cost threads.
///
/// Once in a process, for commands that keep no journal; ``SignalSource`` is for runs.
struct SignalPipe: Sendable {
    /// Where the handler writes to; it may do nothing but that (signal-safety(7)).
    private static let writer = Atomic<Int32>(-1)

    private let reader: Int32
    private let waiter: LoopWaiter

    /// Takes the signals over from their default, which would end the process.
    ///
    /// - Parameter waiter: waits for them.
    /// - Returns: nil where no pipe could be made; the signals end the process then.
    static func install(_ waiter: LoopWaiter) -> SignalPipe? {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            // A full pipe must not hold the handler, and holds more signals than anybody sends.
            _ = fcntl(end, F_SETFL, fcntl(end, F_GETFL) | O_NONBLOCK)
        }
        writer.store(ends[1], ordering: .sequentiallyConsistent)
        for number in [SIGINT, SIGTERM] {
            signal(number) { _ in
                let was = errno
                var byte: UInt8 = 1
                _ = write(SignalPipe.writer.load(ordering: .relaxed), &byte, 1)
                errno = was
            }
        }
        return SignalPipe(reader: ends[0], waiter: waiter)
    }

    /// Waits for the next signal.
    ///
    /// - Returns: false when the task was cancelled.
    func next() async -> Bool {
        while await waiter.isReadable(reader) {
            var byte: UInt8 = 0
            if read(reader, &byte, 1) == 1 { return true }
        }
        return false
    }
}

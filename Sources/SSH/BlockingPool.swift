// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Foundation
import Synchronization

/// One or two threads for calls that block and cannot be made otherwise: `getaddrinfo`, and hashing a large local file.
///
/// ## Concurrency
/// The queue is behind its mutex; the semaphore counts what is in it, and is what the threads wait for.
final class BlockingPool: Sendable {
    static let shared = BlockingPool(threads: ProcessInfo.processInfo.activeProcessorCount > 2 ? 2 : 1)

    private let queue = Mutex<[@Sendable () -> Void]>([])
    private let queued = DispatchSemaphore(value: 0)

    init(threads: Int) {
        for index in 0..<threads {
            let thread = Thread { [self] in run() }
            thread.name = "pawl-blocking-\(index)"
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    /// Runs the body on one of the threads.
    ///
    /// The body is not interrupted by cancellation; it must end by itself.
    func run<T: Sendable>(
        isolation: isolated (any Actor)? = #isolation,
        _ body: @escaping @Sendable () -> T
    ) async -> T {
        await withCheckedContinuation { continuation in
            queue.withLock { $0.append { continuation.resume(returning: body()) } }
            queued.signal()
        }
    }

    private func run() {
        while true {
            queued.wait()
            let work = queue.withLock { $0.removeFirst() }
            work()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Two threads for calls that block and cannot be made otherwise: `getaddrinfo`, and hashing a large local file.
///
/// ## Concurrency
/// The queue is behind the condition's lock; the work items are `@Sendable`.
final class BlockingPool: Sendable {
    static let shared = BlockingPool(threads: 2)

    private let condition = NSCondition()
    // Safe because it is touched only while `condition` is locked; a `Mutex` cannot be waited on until there is work.
    nonisolated(unsafe) private var queue: [@Sendable () -> Void] = []

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
            condition.lock()
            queue.append { continuation.resume(returning: body()) }
            condition.signal()
            condition.unlock()
        }
    }

    private func run() {
        while true {
            condition.lock()
            while queue.isEmpty { condition.wait() }
            let work = queue.removeFirst()
            condition.unlock()
            work()
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import SSH

/// Work over many hosts that the first signal cancels, and that still tells what it has seen.
///
/// A second signal ends the process at once. The work runs on an event loop, so that it takes no threads, and must not block.
enum InterruptibleWork {
    /// What it came to.
    struct Outcome<Result: Sendable>: Sendable {
        var result: Result
        var wasInterrupted: Bool
    }

    private enum Ended<Result: Sendable>: Sendable {
        case work(Result)
        case signal
        case signalsUnwatched
    }

    /// Does the work until it is done or a signal comes.
    ///
    /// - Parameters:
    ///   - words: what is said when the signal comes.
    ///   - body: the work; it ends soon when its task is cancelled.
    /// - Returns: what it came to.
    /// - Throws: `RemoteError` where there is no event loop.
    static func run<Result: Sendable>(
        saying words: String,
        _ body: @escaping @Sendable () async -> Result
    ) async throws -> Outcome<Result> {
        let loops = try SSHEventLoopGroup.shared.get()
        let pipe = SignalPipe.install(LoopWaiter(loops))
        return await withTaskExecutorPreference(LoopTaskExecutor(loops)) {
            await run(saying: words, pipe, body)
        }
    }

    private static func run<Result: Sendable>(
        saying words: String,
        _ pipe: SignalPipe?,
        _ body: @escaping @Sendable () async -> Result
    ) async -> Outcome<Result> {
        await withTaskGroup(of: Ended<Result>.self) { group in
            group.addTask { .work(await body()) }
            group.addTask {
                guard let pipe, await pipe.next() else { return .signalsUnwatched }
                return .signal
            }
            var wasInterrupted = false
            while let ended = await group.next() {
                switch ended {
                case .work(let result):
                    group.cancelAll()
                    return Outcome(result: result, wasInterrupted: wasInterrupted)
                case .signal:
                    wasInterrupted = true
                    for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
                    ExitReason.say("\n\(words); once more ends at once")
                    group.cancelAll()
                case .signalsUnwatched:
                    break
                }
            }
            preconditionFailure("the work is in the group until it has ended")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

@preconcurrency import Dispatch
import Engine
import Foundation

/// SIGINT and SIGTERM as a stream: the first asks for a safe point, every later one to stop waiting.
///
/// ## Concurrency
/// The counter is touched on the one serial queue that both signal sources deliver on.
struct SignalSource: Sendable {
    let signals: AsyncStream<RunEngine.Signal>

    init() {
        let (stream, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        signals = stream
        let queue = DispatchQueue(label: "pawl.signals")
        let counter = Counter()
        // Between being ignored and being watched a signal is lost, so nothing goes on until it is watched.
        let watched = DispatchGroup()
        let sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                counter.value += 1
                sender.yield(counter.value == 1 ? .interrupt : .abandon)
                ExitReason.say(
                    counter.value == 1
                        ? "\nstopping at the next safe point; once more stops waiting (the run can be resumed either way)"
                        : "\nno longer waiting; what runs on the node is in doubt until `pawl resume` looks at it"
                )
            }
            watched.enter()
            source.setRegistrationHandler { watched.leave() }
            source.resume()
            return source
        }
        _ = watched.wait(timeout: .now() + .seconds(1))
        // The stream holds the sources: a source that nobody holds is cancelled, and its signal lost.
        sender.onTermination = { _ in for source in sources { source.cancel() } }
    }

    /// Touched on `queue` only.
    private final class Counter: @unchecked Sendable {
        var value = 0
    }
}

// SPDX-License-Identifier: Apache-2.0

import Engine
import Synchronization

/// Hands each signal to all runs that are at work.
///
/// ## Concurrency
/// All state is behind the mutex.
final class SignalRelay: Sendable {
    private struct State {
        var seen: [RunEngine.Signal] = []
        var runs: [AsyncStream<RunEngine.Signal>.Continuation] = []
    }

    private let state = Mutex(State())

    /// Whether any came.
    var hasSeenSignal: Bool { state.withLock { !$0.seen.isEmpty } }

    /// The signals for one run, those that came before it too.
    func stream() -> AsyncStream<RunEngine.Signal> {
        let (stream, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        state.withLock { state in
            for signal in state.seen { sender.yield(signal) }
            state.runs.append(sender)
        }
        return stream
    }

    /// Passes them on until the task is cancelled.
    func pass(on signals: AsyncStream<RunEngine.Signal>) async {
        for await signal in signals {
            state.withLock { state in
                state.seen.append(signal)
                for run in state.runs { run.yield(signal) }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

@preconcurrency import Dispatch
import Engine
import Foundation
import Synchronization

/// SIGINT, SIGTERM and SIGHUP as a stream: the first asks for a safe point, every later one to stop waiting.
///
/// A terminal that is closed sends SIGHUP more than once, by the shell and by the kernel, so that another one asks for
/// nothing further; under `nohup` it stays ignored.
struct SignalSource: Sendable {
    let signals: AsyncStream<RunEngine.Signal>

    /// Takes the signals over from their default, which would end the process.
    ///
    /// Returns when they are watched: what comes between the two is ignored.
    static func install() async -> SignalSource {
        let (stream, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        let queue = DispatchQueue(label: "pawl.signals")
        let seen = SeenSignals()
        var sources: [any DispatchSourceSignal] = []
        // Whoever reads stdout may go; the run goes on.
        signal(SIGPIPE, SIG_IGN)
        for number in [SIGINT, SIGTERM, SIGHUP] {
            let before = signal(number, SIG_IGN)
            if number == SIGHUP, case .some = before { continue }
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler {
                let isFirst = seen.count.add(1, ordering: .relaxed).oldValue == 0
                guard isFirst || number != SIGHUP else { return }
                sender.yield(isFirst ? .interrupt : .abandon)
                ExitReason.say(
                    isFirst
                        ? "\nstopping at the next safe point; once more stops waiting (the run can be resumed either way)"
                        : "\nno longer waiting; what runs on the node is in doubt until `pawl resume` looks at it"
                )
            }
            await withCheckedContinuation { continuation in
                source.setRegistrationHandler { continuation.resume() }
                source.resume()
            }
            sources.append(source)
        }
        // The stream holds the sources: a source that nobody holds is cancelled, and its signal lost.
        sender.onTermination = { [sources] _ in for source in sources { source.cancel() } }
        return SignalSource(signals: stream)
    }

    private final class SeenSignals: Sendable {
        let count = Atomic(0)
    }
}

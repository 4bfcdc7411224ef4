// SPDX-License-Identifier: Apache-2.0

/// How far a command over many hosts has come, on stderr.
///
/// On a terminal it is one line that is drawn anew, and taken away at the end; elsewhere a line every ten seconds, so that what
/// is quick says nothing.
package actor FleetProgress {
    /// How a host ended, as far as the counts tell.
    package enum Ending: Sendable {
        case good
        case failed
        case notReached
    }

    private static let eraseLine = "\r\u{1B}[K"

    private let surroundings: LiveView.Surroundings
    private let isLive: Bool
    private let total: Int
    private let began: Double
    private var spoke: Double
    private var isDrawn = false
    private var ended = 0
    private var failed = 0
    private var notReached = 0

    /// - Parameters:
    ///   - total: how many hosts there are.
    ///   - isLive: whether the sink is a terminal that can erase a line.
    ///   - surroundings: the sink and the clock.
    package init(total: Int, isLive: Bool, _ surroundings: LiveView.Surroundings) {
        self.total = total
        self.isLive = isLive
        self.surroundings = surroundings
        began = surroundings.now()
        spoke = began
    }

    package func note(_ ending: Ending) {
        ended += 1
        switch ending {
        case .good: break
        case .failed: failed += 1
        case .notReached: notReached += 1
        }
    }

    /// Says how far it is where it is time to.
    package func tick() {
        let now = surroundings.now()
        guard now - spoke >= (isLive ? 1 : 10) else { return }
        // A live line moves on faster once it is there.
        spoke = isLive ? now - 0.8 : now
        isDrawn = isLive
        surroundings.sink(isLive ? Self.eraseLine + fitted(line(now)) : line(now) + "\n")
    }

    private func line(_ now: Double) -> String {
        var text = "\(ended) of \(total) \(total == 1 ? "host" : "hosts"), \(Int(now - began)) s"
        if failed > 0 { text += ", \(failed) failed" }
        if notReached > 0 { text += ", \(notReached) not reached" }
        return text
    }

    /// A line that wraps cannot be erased.
    private func fitted(_ text: String) -> String {
        String(text.prefix(max(1, (surroundings.size() ?? .standard).columns - 1)))
    }

    /// Takes the line away.
    package func finish() {
        guard isDrawn else { return }
        isDrawn = false
        surroundings.sink(Self.eraseLine)
    }

    /// Runs the body with the progress alive around it.
    package nonisolated(nonsending) func run<Result>(while body: () async -> Result) async -> Result {
        // Cancelled and awaited when this scope ends.
        async let _: Void = tickUntilCancelled()
        let result = await body()
        await finish()
        return result
    }

    private func tickUntilCancelled() async {
        while (try? await surroundings.wait(.milliseconds(200))) != nil, !Task.isCancelled { tick() }
    }
}

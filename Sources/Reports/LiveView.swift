// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Rollout

/// A run on a terminal: what is finished scrolls away above, a region at the bottom shows what each host does now.
///
/// The region is redrawn in place with a few ECMA-48 sequences (cursor up, erase). It is never higher than the terminal
/// and its lines never wrap, so that the cursor finds its way back; after a resize the view reckons with the rows
/// that a terminal makes of lines that have become too long.
package actor LiveView: RunView {
    /// What the view needs of the world around it.
    package struct Surroundings: Sendable {
        /// Receives frames and lines, with their control sequences, to be written at once.
        package var sink: TextSink
        /// Seconds since 1970, the clock of the events.
        package var now: @Sendable () -> Double
        /// The size of the terminal, asked before each drawing; `nil` where it is not known.
        package var size: @Sendable () -> TerminalSize?
        /// Waits for the next tick; throws when the task is cancelled.
        package var wait: @Sendable (Duration) async throws -> Void

        package init(
            sink: @escaping TextSink,
            now: @escaping @Sendable () -> Double = { Date().timeIntervalSince1970 },
            size: @escaping @Sendable () -> TerminalSize?,
            wait: @escaping @Sendable (Duration) async throws -> Void = { try await Task.sleep(for: $0) }
        ) {
            self.sink = sink
            self.now = now
            self.size = size
            self.wait = wait
        }
    }

    private enum Control {
        static let hideCursor = "\u{1B}[?25l"
        static let showCursor = "\u{1B}[?25h"
        static let eraseToEnd = "\u{1B}[J"

        static func up(_ rows: Int) -> String { rows > 0 ? "\u{1B}[\(rows)A" : "" }
    }

    /// At most ten drawings a second.
    package static let interval = Duration.milliseconds(100)
    private static let intervalSeconds = 0.1

    private let surroundings: Surroundings
    private let style: ReportStyle
    private var text: EventText
    private var progress: LiveProgress
    /// The lines that are on the screen now, without their colours.
    private var drawn: [String] = []
    private var drawnAt: Double?
    /// Lines that are to scroll away above the region with the next drawing.
    private var pending: [String] = []
    private var isDirty = false
    private var hidesCursor = false
    private var hasEnded = false

    /// - Parameters:
    ///   - surroundings: the terminal and the clock.
    ///   - style: the colours.
    ///   - timeZone: the zone of the times at the beginning of the lines.
    ///   - plan: the steps of the run, for the counts; without it only what is done is counted.
    ///   - done: steps that an earlier part of the run has done.
    package init(
        _ surroundings: Surroundings,
        style: ReportStyle,
        timeZone: TimeZone = .current,
        plan: [PlannedStep] = [],
        done: Set<StepID> = []
    ) {
        self.surroundings = surroundings
        self.style = style
        text = EventText(style: style, timeZone: timeZone)
        progress = LiveProgress(plan: plan, done: done)
    }

    package func receive(_ event: RunEvent) {
        guard !hasEnded else { return surroundings.sink(lines(for: event).map { $0 + "\n" }.joined()) }
        progress.apply(event)
        isDirty = true
        switch event.kind {
        case .stepStarted, .stepProgress, .undoStarted:
            // The region shows these.
            tick()
        case .runStarted, .stageStarted, .stepFinished, .undoFinished, .notice:
            pending += lines(for: event)
            tick()
        case .halted, .finished:
            pending += lines(for: event)
            finish()
        }
    }

    /// Shows lines that are no event, as a log's, without disturbing the region.
    package func show(_ text: String) {
        let lines = VisibleText.lines(text)
        guard !hasEnded else { return surroundings.sink(lines.map { $0 + "\n" }.joined()) }
        pending += lines
        isDirty = true
        tick()
    }

    /// Draws the region anew where there is something new to show and the last drawing is long enough ago.
    package func tick() {
        guard !hasEnded else { return }
        let now = surroundings.now()
        if let drawnAt {
            // A clock that was set back must not stop the view.
            let age = now - drawnAt
            if age >= 0, age < Self.intervalSeconds { return }
            if !isDirty, now.rounded(.down) == drawnAt.rounded(.down) { return }
        }
        draw(at: now)
    }

    /// Takes the region away and gives the cursor back.
    ///
    /// What comes later is shown as lines.
    package func finish() {
        guard !hasEnded else { return }
        hasEnded = true
        var output = takeAway(surroundings.size() ?? .standard)
        output += pending.map { $0 + "\n" }.joined()
        if hidesCursor { output += Control.showCursor }
        pending = []
        drawn = []
        if !output.isEmpty { surroundings.sink(output) }
    }

    package nonisolated(nonsending) func run<Result, Failure: Error>(
        while body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        // Cancelled and awaited when this scope ends, however it ends.
        async let _: Void = tickUntilCancelled()
        do {
            let result = try await body()
            await finish()
            return result
        } catch {
            await finish()
            throw error
        }
    }

    private func tickUntilCancelled() async {
        while !hasEnded, (try? await surroundings.wait(Self.interval)) != nil {
            tick()
        }
    }

    private func lines(for event: RunEvent) -> [String] {
        text.width = (surroundings.size() ?? .standard).columns
        return text.lines(for: event)
    }

    private func draw(at now: Double) {
        let size = surroundings.size() ?? .standard
        let plain = progress.frame(now: now, size: size, style: .plain)
        isDirty = false
        drawnAt = now
        guard !pending.isEmpty || plain != drawn || occupiedRows(size) != drawn.count else { return }
        let frame = style.isColored ? progress.frame(now: now, size: size, style: style) : plain
        var output = takeAway(size)
        if !hidesCursor, !frame.isEmpty {
            output += Control.hideCursor
            hidesCursor = true
        }
        output += (pending + frame).map { $0 + "\n" }.joined()
        pending = []
        drawn = plain
        surroundings.sink(output)
    }

    /// Brings the cursor to the beginning of the region and erases from there.
    private func takeAway(_ size: TerminalSize) -> String {
        drawn.isEmpty ? "" : "\r" + Control.up(occupiedRows(size)) + Control.eraseToEnd
    }

    /// The rows that the drawn lines take now; more than their number after the terminal has become narrower.
    private func occupiedRows(_ size: TerminalSize) -> Int {
        let columns = max(1, size.columns)
        let rows = drawn.reduce(0) { $0 + max(1, (DisplayWidth.of($1) + columns - 1) / columns) }
        return min(rows, max(1, size.rows - 1))
    }
}

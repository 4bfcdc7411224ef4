// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Reports
import Rollout
import Synchronization
import Testing

struct LiveViewTests {
    /// A terminal and a clock that a test holds in its hands.
    private final class Stage: Sendable {
        let output = Output()
        private let clock = Mutex(Sequences.start)
        private let shape = Mutex<TerminalSize?>(TerminalSize(columns: 60, rows: 24))

        func advance(_ seconds: Double) { clock.withLock { $0 += seconds } }
        func resize(_ size: TerminalSize?) { shape.withLock { $0 = size } }

        var surroundings: LiveView.Surroundings {
            LiveView.Surroundings(
                sink: output.sink,
                now: { self.clock.withLock { $0 } },
                size: { self.shape.withLock { $0 } },
                wait: { _ in
                    try Task.checkCancellation()
                    await Task.yield()
                }
            )
        }

        func view(style: ReportStyle = .plain, done: Set<StepID> = []) -> LiveView {
            LiveView(surroundings, style: style, timeZone: .utc, plan: Sequences.plan, done: done)
        }

        /// An event that happens now.
        func event(_ kind: RunEvent.Kind) -> RunEvent {
            RunEvent(at: clock.withLock { $0 }, run: Sequences.run, kind: kind)
        }
    }

    private static let hide = "\u{1B}[?25l"
    private static let show = "\u{1B}[?25h"
    private static func back(_ rows: Int) -> String { "\r\u{1B}[\(rows)A\u{1B}[J" }

    /// A view after the run has started, with nothing in its output.
    private func started(_ stage: Stage) async -> LiveView {
        let view = stage.view()
        await view.receive(stage.event(.runStarted(Sequences.header)))
        _ = stage.output.take()
        return view
    }

    @Test func `each host has a row, and what is finished scrolls away above`() async {
        let stage = Stage()
        let view = stage.view()
        await view.receive(stage.event(.runStarted(Sequences.header)))
        #expect(
            stage.output.take() == Self.hide + """
                03:12:01 run 20261121-031201-a3f9 started: Migrate etcd, inventory inventories/prod.yaml, 4 steps, \
                hosts n1, node-22
                Migrate etcd  0/4 steps  0s
                n1       0/3    waiting
                node-22  0      waiting
                all      0/1    waiting

                """
        )
        stage.advance(1)
        await view.receive(stage.event(.stepStarted(Sequences.ready, attempt: 1)))
        #expect(
            stage.output.take() == Self.back(4) + """
                Migrate etcd  0/4 steps  1s
                n1       0/3    Ready for the migration  0s
                node-22  0      waiting
                all      0/1    waiting

                """
        )
        stage.advance(2)
        await view.receive(stage.event(.stepProgress(Sequences.ready, "asking\nn2")))
        #expect(stage.output.take().contains("n1       0/3    Ready for the migration  2s  asking / n2\n"))
        stage.advance(1)
        await view.receive(
            stage.event(.stepFinished(Sequences.ready, Sequences.report(.done, "all well", [:], 3)))
        )
        #expect(
            stage.output.take() == Self.back(4) + """
                03:12:05 n1       Ready for the migration: done (3.0s): all well
                Migrate etcd  1/4 steps  4s
                n1       1/3    waiting
                node-22  0      waiting
                all      0/1    waiting

                """
        )
    }

    @Test func `the time of a running step ticks, once a second`() async {
        let stage = Stage()
        let view = await started(stage)
        stage.advance(1)
        await view.receive(stage.event(.stepStarted(Sequences.migrate, attempt: 2)))
        _ = stage.output.take()
        for _ in 0..<9 {
            stage.advance(0.1)
            await view.tick()
        }
        #expect(stage.output.take() == "")
        stage.advance(0.11)
        await view.tick()
        #expect(stage.output.take().contains("n1       0/3    attempt 2 of Migrate  1s\n"))
        stage.advance(65)
        await view.tick()
        #expect(stage.output.take().contains("Migrate  1m 06s\n"))
    }

    @Test func `it draws at most ten times a second and loses nothing`() async {
        let stage = Stage()
        let view = await started(stage)
        stage.advance(1)
        await view.tick()
        _ = stage.output.take()
        for number in 0..<500 {
            stage.advance(0.01)
            await view.receive(stage.event(.notice(Notice(.info, "notice \(number)."))))
        }
        let drawings = stage.output.all.count
        #expect((40...50).contains(drawings))
        await view.finish()
        let text = stage.output.text
        #expect((0..<500).allSatisfy { text.contains(" notice \($0).\n") })
    }

    @Test func `a clock that is set back does not stop it`() async {
        let stage = Stage()
        let view = await started(stage)
        stage.advance(-3600)
        await view.receive(stage.event(.stepStarted(Sequences.migrate, attempt: 1)))
        #expect(stage.output.take().contains("Migrate  0s"))
    }

    @Test func `the end takes the region away and gives the cursor back`() async {
        let stage = Stage()
        let view = await started(stage)
        stage.advance(1)
        await view.receive(stage.event(.halted(Sequences.halt)))
        let text = stage.output.take()
        #expect(text.hasPrefix(Self.back(4) + "03:12:02 run \(Sequences.run) halted\n\nHALTED at n1, Migrate\n"))
        #expect(text.hasSuffix("  exit code 3\n" + Self.show))
        await view.finish()
        await view.tick()
        #expect(stage.output.take() == "")
        await view.receive(stage.event(.notice(Notice(.info, "late"))))
        #expect(stage.output.take() == "03:12:02 all      late\n")
    }

    @Test func `a line of a log goes above the region`() async {
        let stage = Stage()
        let view = await started(stage)
        stage.advance(1)
        await view.show("n1$ systemctl stop etcd\n\u{1B}[2J")
        #expect(
            stage.output.take().hasPrefix(
                Self.back(4) + "n1$ systemctl stop etcd\n\\e[2J\nMigrate etcd  0/4 steps  1s\n"
            )
        )
    }

    @Test(arguments: [5, 6, 8, 12, 40])
    func `on a real screen nothing is left over, doubled or lost`(rows: Int) async {
        let stage = Stage()
        stage.resize(TerminalSize(columns: 70, rows: rows))
        let view = LiveView(stage.surroundings, style: .plain, timeZone: .utc, plan: Sequences.plan)
        let plain = Output()
        let reference = PlainView(timeZone: .utc, sink: plain.sink)
        for event in Sequences.success + Sequences.halted {
            if case .runStarted(let header) = event.kind, !stage.output.text.isEmpty, header == Sequences.header {
                continue
            }
            if case .finished = event.kind { continue }
            stage.advance(0.07)
            await view.receive(event)
            switch event.kind {
            case .stepStarted, .stepProgress, .undoStarted: break
            default: await reference.receive(event)
            }
        }
        var screen = TerminalScreen(columns: 70, rows: rows)
        screen.write(stage.output.text)
        // The end of a run is wrapped to the terminal, and the screen itself wraps what is longer.
        let shown = screen.lines.joined(separator: "\n").filter { !$0.isWhitespace }
        #expect(shown == plain.text.filter { !$0.isWhitespace })
        #expect(screen.unknown == [])
    }

    @Test func `an end before a beginning writes nothing`() async {
        let stage = Stage()
        await stage.view().finish()
        #expect(stage.output.text == "")
    }

    @Test func `lines are cut to the terminal by columns, also wide ones`() async {
        let stage = Stage()
        stage.resize(TerminalSize(columns: 34, rows: 24))
        let view = await started(stage)
        stage.advance(1)
        await view.receive(stage.event(.stepStarted(Sequences.migrate, attempt: 1)))
        stage.advance(1)
        await view.receive(stage.event(.stepProgress(Sequences.migrate, "日本語日本語日本語")))
        let text = stage.output.take()
        #expect(text.contains("\nn1       0/3    Migrate  1s  日…\n"))
        let frame = text.split(separator: "\n").filter { !$0.contains("\u{1B}") }
        #expect(frame.allSatisfy { DisplayWidth.of(String($0)) < 34 })
    }

    @Test func `after a resize the cursor finds its way back`() async {
        let stage = Stage()
        let view = await started(stage)
        // "Migrate etcd  0/4 steps  0s" takes 27 columns and each row 23: two terminal rows each at 20 columns.
        stage.resize(TerminalSize(columns: 20, rows: 24))
        stage.advance(1)
        await view.tick()
        let text = stage.output.take()
        #expect(text.hasPrefix(Self.back(8)))
        #expect(text.contains("\nMigrate etcd  0/4 …\n") || text.contains("JMigrate etcd  0/4 …\n"))
        // A terminal that does not say its size is taken for one of 80 by 24.
        stage.resize(nil)
        stage.advance(1)
        await view.tick()
        #expect(stage.output.take().hasPrefix(Self.back(4) + "Migrate etcd  0/4 steps  2s\n"))
    }

    @Test func `it is never higher than the terminal, and busy hosts come first`() async {
        let stage = Stage()
        stage.resize(TerminalSize(columns: 60, rows: 6))
        let view = LiveView(stage.surroundings, style: .plain, timeZone: .utc)
        var header = Sequences.header
        header.hosts = (1...1000).map { "n\($0)" }
        await view.receive(stage.event(.runStarted(header)))
        _ = stage.output.take()
        stage.advance(1)
        let step = Sequences.step("steps.1/n999", .steps, "n999", "Migrate", "etcd_migrate", .once)
        await view.receive(stage.event(.stepStarted(step, attempt: 1)))
        #expect(
            stage.output.take() == Self.back(5) + """
                Migrate etcd  1s
                n1    0      waiting
                n2    0      waiting
                n999  0      Migrate  0s
                and 997 more

                """
        )
    }

    @Test func `what is taken back is not done any more`() async {
        let stage = Stage()
        let view = stage.view(style: .colored, done: [Sequences.ready.id, Sequences.stop.id, Sequences.migrate.id])
        await view.receive(stage.event(.runStarted(Sequences.header)))
        #expect(stage.output.take().contains("n1       3/3    \u{1B}[32mdone\u{1B}[0m\n"))
        stage.advance(1)
        await view.receive(stage.event(.undoStarted(Sequences.migrate)))
        #expect(stage.output.take().contains("n1       3/3    taking back Migrate  0s\n"))
        stage.advance(1)
        await view.receive(stage.event(.undoFinished(Sequences.migrate, Sequences.report(.done, "ok", [:], 1))))
        #expect(stage.output.take().contains("n1       2/3    \u{1B}[2mwaiting\u{1B}[0m\n"))
        stage.advance(1)
        await view.receive(stage.event(.stepFinished(Sequences.migrate, Sequences.report(.inDoubt, "?", [:], 1))))
        #expect(stage.output.take().contains("n1       2/3    \u{1B}[35min doubt\u{1B}[0m\n"))
    }

    @Test func `no control character of a node reaches the terminal`() async {
        let stage = Stage()
        let view = LiveView(stage.surroundings, style: .plain, timeZone: .utc)
        for event in Sequences.hostileRun {
            stage.advance(1)
            await view.receive(event)
        }
        var text = stage.output.text
        for own in [Self.hide, Self.show] + (1...9).map(Self.back) { text = text.replacing(own, with: "") }
        #expect(!text.unicodeScalars.contains { $0 != "\n" && $0.properties.generalCategory == .control })
        #expect(!text.unicodeScalars.contains("\u{202E}"))
    }

    // MARK: - Running

    private struct Broken: Error {}

    @Test func `it ticks while a body runs, and ends with it`() async {
        let stage = Stage()
        let view = await started(stage)
        let result = await view.run {
            stage.advance(5)
            while !stage.output.text.contains("0/4 steps  5s") { await Task.yield() }
            return 7
        }
        #expect(result == 7)
        #expect(stage.output.text.hasSuffix(Self.back(4) + Self.show))
    }

    @Test func `a body that throws gives the cursor back too`() async {
        let stage = Stage()
        let view = await started(stage)
        await #expect(throws: Broken.self) { try await view.run { throw Broken() } }
        #expect(stage.output.text.hasSuffix(Self.show))
    }

    @Test func `a body that is cancelled gives the cursor back too`() async {
        let stage = Stage()
        let view = await started(stage)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                try? await view.run { try await Task.sleep(for: .seconds(3600)) }
            }
            group.cancelAll()
        }
        #expect(stage.output.text.hasSuffix(Self.show))
    }
}

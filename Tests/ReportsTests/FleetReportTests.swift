// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Remote
import Synchronization
import Testing

@testable import Reports

@Suite struct FleetReportTests {
    @Test(arguments: [
        (["node001", "node002", "node003"], "node[001-003]"),
        (["n9", "n10", "n11", "n13"], "n[9-11,13]"),
        (["n1.a", "n2.a", "n1.b"], "n[1-2].a, n1.b"),
        (["rack1-n1", "rack1-n2", "rack2-n1", "rack2-n2"], "rack1-n[1-2], rack2-n[1-2]"),
        (["n07", "n8"], "n07, n8"),
        (["n2", "n1"], "n[2,1]"),
        (["10.0.0.1", "10.0.0.2"], "10.0.0.[1-2]"),
        (["db", "web"], "db, web"),
        (["n99999999999999999999", "n99999999999999999998"], "n[99999999999999999999,99999999999999999998]"),
        ([], ""),
    ])
    func `names that differ in one number are told of together, in their order`(_ names: [String], _ text: String) {
        #expect(FoldedNames.text(names) == text)
    }

    private func report(_ outcomes: [(String, FleetCommand.Outcome)]) -> FleetReport {
        var report = FleetReport(hosts: outcomes.map(\.0))
        // As they come in, in any order.
        for (place, item) in outcomes.enumerated().reversed() {
            report.add(FleetCommand.Answer(host: item.0, outcome: item.1), at: place)
        }
        return report
    }

    private func refused(_ address: String) -> FleetCommand.Outcome {
        var error = RemoteError(
            .unreachable,
            host: "x",
            "no connection to \(address) port 22: Connection refused [me@\(address):22]",
            remedy: "look at \(address)"
        )
        error.ownWords = ["me@\(address):22", address]
        return .failed(error)
    }

    private static func ended(_ code: Int, _ output: String = "", _ error: String = "") -> FleetCommand.Outcome {
        .ended(.init(exitCode: code, standardOutput: Array(output.utf8), standardError: Array(error.utf8)))
    }

    @Test func `equal answers stand together, the biggest group first, then who did not answer`() {
        let report = report([
            ("n1", Self.ended(2, "", "no such file\n")), ("n2", Self.ended(0, "3.4\n")), ("n3", refused("10.0.0.3")),
            ("n4", Self.ended(0, "3.4\n")), ("n5", Self.ended(0, "3.5\nx\u{1B}[2J\n")), ("n6", refused("10.0.0.6")),
            ("n7", .failed(RemoteError(.inDoubt, host: "n7", "connection lost", remedy: "look"))), ("n8", .notBegun),
        ])
        #expect(
            report.text() == """
                n[2,4] (2 hosts): exit code 0
                  3.4

                n1: exit code 2
                  stderr: no such file

                n5: exit code 0
                  3.5
                  x\\e[2J

                n7: in doubt
                  connection lost
                  → look

                n[3,6] (2 hosts): not begun, not reached
                  no connection to … port 22: Connection refused
                  → look at …

                n8: not begun, interrupted

                8 hosts: 3 ok, 1 failed (1 with exit code 2), 1 in doubt, 1 not begun, 2 not reached

                """
        )
        #expect(!report.isGood)
        #expect(report.hasBegun)
    }

    @Test func `nothing was begun where no host was reached, and all is well where all ended with 0`() {
        #expect(!report([("n1", refused("a")), ("n2", .notBegun)]).hasBegun)
        #expect(report([("n1", Self.ended(0)), ("n2", Self.ended(0))]).isGood)
        #expect(report([("n1", .failed(RemoteError(.inDoubt, host: "n1", "lost")))]).hasBegun)
        #expect(!report([("n1", Self.ended(0)), ("n2", refused("a"))]).isGood)
    }

    @Test func `for programs each host has a line`() throws {
        let ended = FleetCommand.Answer(
            host: "n1",
            outcome: Self.ended(1, "a\n", "b/\n"),
            duration: .milliseconds(1500)
        )
        #expect(
            try FleetReport.line(ended)
                == #"{"duration_seconds":1.5,"exit_code":1,"host":"n1","stderr":"b/\n","stdout":"a\n"}"# + "\n"
        )
        let failed = FleetCommand.Answer(
            host: "n2",
            outcome: .failed(RemoteError(.become, host: "n2", "no", remedy: "do")),
            duration: .seconds(1)
        )
        #expect(
            try FleetReport.line(failed)
                == #"{"duration_seconds":1,"error":{"code":"become","message":"no","remedy":"do"},"host":"n2"}"# + "\n"
        )
    }

    @Test func `a word of the host is left out only where it stands by itself`() {
        var error = RemoteError(.unreachable, host: "n1", "n1 and n12: n1. [u@n1:22]", remedy: "ask n1")
        error.ownWords = ["u@n1:22", "n1"]
        #expect(error.commonMessage == "… and n12: ….")
        #expect(error.commonRemedy == "ask …")
    }

    // MARK: - Check

    private func answer(_ host: String, _ problems: [HostProblem] = []) -> HostCheck.Answer {
        var answer = HostCheck.Answer(host: host, isUsable: problems.allSatisfy(\.isWarning), problems: problems)
        answer.user = "root"
        answer.etcdctl = "3.4.23"
        return answer
    }

    @Test func `each problem is one line that says what to do, and equal ones share it`() {
        let full = HostProblem(.disk, "the disk is full: 3 kB", remedy: "make room", common: "the disk is full")
        let more = HostProblem(.disk, "the disk is full: 4 kB", remedy: "make room", common: "the disk is full")
        let late = HostProblem(
            .clock,
            "the clock is 7 s behind",
            remedy: "set it",
            isWarning: true,
            common: "the clock"
        )
        let text = CheckReport([answer("n1", [late]), answer("n2", [full]), answer("n3", [more]), answer("n4")], of: 4)
            .text(width: nil)
        #expect(
            text == """
                host  state    runs as  etcd  etcdctl  free for backups
                n1    warning  root     -     3.4.23   -
                n4    ok       root     -     3.4.23   -

                n[2-3] (2 hosts): the disk is full; make room
                n1: warning: the clock is 7 s behind; set it

                2 of 4 hosts are not usable

                """
        )
    }

    @Test func `many hosts that are alike are one row`() {
        let many = (100..<200).map { answer("n\($0)") }
        #expect(
            CheckReport(many, of: 120).text(width: nil) == """
                hosts       count  state  runs as  etcd  etcdctl
                n[100-199]    100  ok     root     -     3.4.23

                100 hosts, all usable; 20 were not asked

                """
        )
    }

    // MARK: - Progress

    @Test func `what is quick says nothing, a terminal has one line that goes again, a log has one now and then`() async
    {
        let clock = TestClock()
        for isLive in [true, false] {
            let progress = FleetProgress(total: 9, isLive: isLive, clock.surroundings)
            await progress.note(.good)
            clock.advance(0.9)
            await progress.tick()
            #expect(clock.taken() == "")
            clock.advance(9.2)
            await progress.note(.failed)
            await progress.note(.notReached)
            await progress.tick()
            let line = "3 of 9 hosts, 10 s, 1 failed, 1 not reached"
            #expect(clock.taken() == (isLive ? "\r\u{1B}[K" + line : line + "\n"))
            await progress.finish()
            #expect(clock.taken() == (isLive ? "\r\u{1B}[K" : ""))
        }
    }
}

/// A clock that stands, and what was written.
private final class TestClock: Sendable {
    private struct State {
        var now = 0.0
        var text = ""
    }

    private let state = Mutex(State())

    var surroundings: LiveView.Surroundings {
        .init(
            sink: { text in self.state.withLock { $0.text += text } },
            now: { self.state.withLock { $0.now } },
            size: { nil },
            wait: { _ in throw CancellationError() }
        )
    }

    func advance(_ seconds: Double) { state.withLock { $0.now += seconds } }

    func taken() -> String {
        state.withLock { state in
            defer { state.text = "" }
            return state.text
        }
    }
}

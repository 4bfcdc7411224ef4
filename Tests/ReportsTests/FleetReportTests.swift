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

                …: what differs from host to host; one host alone (-l HOST) and --format json have it in full

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

    /// As the connection makes it of a host whose sshd is at a port of 127.0.0.1.
    private func changedKey(_ name: String, _ port: Int, _ fingerprint: String) -> RemoteError {
        var error = RemoteError(
            .hostKey,
            host: name,
            "THE HOST KEY HAS CHANGED: the server offers ecdsa \(fingerprint), kh:3 has SHA256:old [u@127.0.0.1:\(port)]",
            remedy: "compare, then: ssh-keyscan -p \(port) -t ecdsa 127.0.0.1 >> kh"
        )
        error.ownWords = [fingerprint, "SHA256:old", "kh:3", "u@127.0.0.1:\(port)", "127.0.0.1", name, "\(port)"]
        return error
    }

    @Test func `of one host all is told, so that what is to be done can be pasted`() {
        let text = report([("etm", .failed(changedKey("etm", 2201, "SHA256:new"))), ("n2", Self.ended(0))]).text()
        #expect(
            text.contains("offers ecdsa SHA256:new, kh:3 has SHA256:old [u@127.0.0.1:2201]\n"),
            "\(text)"
        )
        #expect(text.contains("then: ssh-keyscan -p 2201 -t ecdsa 127.0.0.1 >> kh\n"))
        #expect(!text.contains("…"))
    }

    @Test func `of several hosts nothing is left out but what differs`() {
        let text = report([
            ("etm", .failed(changedKey("etm", 2201, "SHA256:new"))),
            ("n2", .failed(changedKey("n2", 2202, "SHA256:newer"))),
        ]).text()
        #expect(
            text == """
                etm, n2 (2 hosts): not begun, host key
                  THE HOST KEY HAS CHANGED: the server offers ecdsa …, kh:3 has SHA256:old
                  → compare, then: ssh-keyscan -p … -t ecdsa 127.0.0.1 >> kh

                …: what differs from host to host; one host alone (-l HOST) and --format json have it in full

                2 hosts: 0 ok, 2 host key

                """
        )
    }

    @Test func `a host with a common word for a name does not lose that word`() {
        func asking(_ name: String) -> FleetCommand.Outcome {
            var error = RemoteError(
                .become,
                host: name,
                "the command: sudo: a password is required [me@\(name).lab:22]",
                remedy: "give a password"
            )
            error.ownWords = ["me@\(name).lab:22", "\(name).lab", name]
            return .failed(error)
        }
        let text = report([("a", asking("a")), ("b", asking("b")), ("sudo", asking("sudo"))]).text()
        #expect(
            text == """
                a, b, sudo (3 hosts): not begun, become refused
                  the command: sudo: a password is required
                  → give a password

                3 hosts: 0 ok, 3 become refused

                """
        )
    }

    @Test func `what differs elsewhere is not told of together`() {
        func text(_ texts: [String]) -> String? {
            var common = CommonText("n1 and n12: n1. [u@n1:22]", ownWords: ["u@n1:22", "n1"])
            for text in texts where !common.take(CommonText(text, ownWords: ["u@n2:22", "n2"])) { return nil }
            return common.text
        }
        #expect(text([]) == "n1 and n12: n1. [u@n1:22]")
        #expect(text(["n2 and n12: n2. [u@n2:22]"]) == "… and n12: ….")
        #expect(text(["n2 and n13: n2. [u@n2:22]"]) == nil)
        #expect(text(["n2 and n12: n2. [u@n2:22] more"]) == nil)
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

    @Test func `a remedy that differs from host to host says where it is in full`() {
        let problems = [
            HostProblem(changedKey("n1", 2201, "SHA256:a")), HostProblem(changedKey("n2", 2202, "SHA256:b")),
        ]
        let both = CheckReport([answer("n1", [problems[0]]), answer("n2", [problems[1]])], of: 2).text(width: nil)
        #expect(
            both == """
                n[1-2] (2 hosts): THE HOST KEY HAS CHANGED: the server offers ecdsa …, kh:3 has SHA256:old; compare, then: \
                ssh-keyscan -p … -t ecdsa 127.0.0.1 >> kh

                …: what differs from host to host; one host alone (-l HOST) and --format json have it in full

                2 of 2 hosts are not usable

                """
        )
        let one = CheckReport([answer("n1", [problems[0]])], of: 1).text(width: nil)
        #expect(one.contains("ssh-keyscan -p 2201 -t ecdsa 127.0.0.1 >> kh\n"))
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

    @Test func `a host that lets in and runs nothing was reached`() {
        let error = RemoteError(.shell, host: "n1", "the login shell of me does not run commands")
        #expect(report([("n1", .failed(error))]).text().hasSuffix("1 host: 0 ok, 1 no shell\n"))
        #expect(HostProblem(error).kind == .shell)
    }

    // MARK: - Progress

    @Test func `of one host there is no plural`() async {
        let clock = TestClock()
        let progress = FleetProgress(total: 1, isLive: true, clock.surroundings)
        clock.advance(2)
        await progress.tick()
        #expect(clock.taken().hasSuffix("0 of 1 host, 2 s"))
    }

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

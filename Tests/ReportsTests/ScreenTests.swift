// SPDX-License-Identifier: Apache-2.0

import Engine
import Reports
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

struct ScreenTests {
    @Test func `a halt on a narrow terminal keeps its commands whole`() {
        #expect(
            HaltScreen.render(Sequences.halt, width: 40) == """
                HALTED at n1, Migrate
                  why:        etcdctl migrate exited 1
                              waiting for etcd to close
                              and release its lock
                  what to do: stop the process that
                              holds /var/lib/etcd

                  host     state  detail
                  n1       v2     restored from
                                  /var/backups/etcd/n1-2
                                  0261121, serving
                  node-22  v2     not touched

                  next
                    pawl resume 20261121-031201-a3f9
                        goes on at Migrate on n1
                    pawl status 20261121-031201-a3f9
                        shows this again

                  exit code 3

                """
        )
        let narrow = HaltScreen.render(Sequences.halt, width: 10)
        #expect(narrow.contains("\n    pawl status \(Sequences.run)\n"))
    }

    @Test func `a halt fits on one screen of 80 by 24`() {
        var halt = Sequences.halt
        halt.members = (1...5).map { .init(host: "n\($0)", state: "v2", detail: "not touched") }
        let lines = HaltScreen.render(halt, width: 80).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count <= 24)
        #expect(lines.allSatisfy { DisplayWidth.of(String($0)) <= 80 })
    }

    @Test func `states have the colours of what they mean`() {
        var halt = Sequences.halt
        halt.members = ["v2", "stopped", "in doubt", "unreachable", "odd"].map {
            .init(host: "n", state: $0, detail: "")
        }
        let text = HaltScreen.render(halt, width: nil, style: .colored)
        for expected in [
            "\u{1B}[31mHALTED\u{1B}[0m", "\u{1B}[32mv2\u{1B}[0m", "\u{1B}[33mstopped\u{1B}[0m",
            "\u{1B}[35min doubt\u{1B}[0m", "\u{1B}[31munreachable\u{1B}[0m", "  odd\n",
        ] {
            #expect(text.contains(expected))
        }
        #expect(!HaltScreen.render(halt, width: nil).contains("\u{1B}"))
    }

    @Test func `a summary shows only columns that have values`() {
        let summary = RunSummary(
            playbook: "Restart",
            members: [.init(host: "n1", unavailableSeconds: 75), .init(host: "n2")],
            elapsedSeconds: 0.04,
            proofs: []
        )
        #expect(
            SummaryScreen.render(summary, width: 80) == """
                DONE Restart in 0.0s

                  host  out of service
                  n1            1m 15s
                  n2                 -

                  no member was out of service for longer than 1m 15s (n1)

                """
        )
    }

    // MARK: - Terminals

    @Test(
        arguments: [
            (true, ["TERM": "xterm"], true, true),
            (true, ["TERM": "xterm", "NO_COLOR": "1"], true, false),
            (true, ["TERM": "xterm", "NO_COLOR": ""], true, true),
            (true, ["TERM": "dumb"], false, false),
            (true, [:], false, false),
            (false, ["TERM": "xterm"], false, false),
        ]
    )
    func `the customs of terminals are kept`(
        isTerminal: Bool,
        environment: [String: String],
        isLive: Bool,
        isColored: Bool
    ) {
        let traits = TerminalTraits(isTerminal: isTerminal, environment: environment)
        #expect(traits.allowsLiveView == isLive)
        #expect(traits.style.isColored == isColored)
    }

    @Test func `a terminal is asked for its size each time`() throws {
        let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        try #require(terminal >= 0)
        defer { close(terminal) }
        for (columns, rows) in [(132, 43), (40, 10)] {
            var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
            try #require(ioctl(terminal, UInt(TIOCSWINSZ), &size) == 0)
            #expect(TerminalSize.of(descriptor: terminal) == TerminalSize(columns: columns, rows: rows))
        }
        var none = winsize()
        try #require(ioctl(terminal, UInt(TIOCSWINSZ), &none) == 0)
        #expect(TerminalSize.of(descriptor: terminal) == nil)
    }

    @Test func `what is no terminal has no size`() {
        #expect(TerminalSize.of(descriptor: -1) == nil)
    }
}

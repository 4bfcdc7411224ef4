// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

struct WaitForTests {
    /// A listening socket on 127.0.0.1, at a port that the kernel chooses.
    private struct Listener: ~Copyable {
        let descriptor: Int32
        let port: Int

        init() throws {
            descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            try #require(descriptor >= 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let descriptor = descriptor
            let done = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    bind(descriptor, pointer, length) == 0 && listen(descriptor, 8) == 0
                        && getsockname(descriptor, pointer, &length) == 0
                }
            }
            try #require(done)
            port = Int(UInt16(bigEndian: address.sin_port))
        }

        deinit { close(descriptor) }
    }

    private func action(_ values: [String: Value]) throws(ActionFailure) -> WaitFor {
        try WaitFor(Parameters(values))
    }

    // MARK: - Lines

    @Test func `a line is tried until it succeeds`() async throws {
        try await GenericActionBench.with { bench in
            try bench.write("", to: "it's")
            let line = "echo x >> \"\(bench.path("it's"))\"; [ $(wc -l < \"\(bench.path("it's"))\") -ge 3 ]"
            let evidence = try await action(["run": .string(line), "every": .double(0.05)]).perform(bench.context())
            #expect(evidence.summary == "`\(line)` ends with exit code 0: seen at look 3")
            #expect(evidence.values["looks"] == "3")
            #expect(bench.news.all == ["waiting until `\(line)` ends with exit code 0, for 28s at most"])
        }
    }

    @Test func `a line that never succeeds is given up with its last words`() async throws {
        try await GenericActionBench.with { bench in
            let line = "echo first >> /dev/null; echo still no; echo why >&2; exit 4"
            let failure = try await thrown(
                try await action(["run": .string(line), "within": .int(2), "every": .int(5)]).perform(bench.context())
            )
            #expect(
                failure?.message == """
                    waited 2s in vain until `\(line)` ends with exit code 0 (1 look, the last with exit code 4)
                    last output:
                      still no
                      why
                    """
            )
            #expect(failure?.remedy == "run the line on the node by hand, or give a longer `within`")
            #expect(failure?.isInDoubt == false)
        }
    }

    @Test func `only what the last look printed is shown`() async throws {
        try await GenericActionBench.with { bench in
            let line =
                "echo x >> \"\(bench.path("f"))\"; n=$(wc -l < \"\(bench.path("f"))\"); "
                + "[ $n -gt 2 ] && echo later || echo early; false"
            let failure = try await thrown(
                try await action(["run": .string(line), "within": .int(2), "every": .double(0.1)])
                    .perform(bench.context())
            )
            #expect(failure?.message.hasSuffix("last output:\n  later") == true)
        }
    }

    @Test func `a line that hangs is given up as well`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await action(["run": .string("sleep 300"), "within": .int(2)]).perform(bench.context())
            )
            #expect(failure?.message == "waited 2s in vain until `sleep 300` ends with exit code 0 (0 looks)")
        }
    }

    @Test func `the timeout of the step is not outlived`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await action(["run": .string("false"), "within": .int(600), "every": .int(1)])
                    .perform(bench.context(timeout: .seconds(4)))
            )
            #expect(failure?.message.hasPrefix("waited 2s in vain") == true)
        }
    }

    // MARK: - Paths

    @Test func `a path is waited for`() async throws {
        try await GenericActionBench.with { bench in
            try bench.write("", to: "it's $HOME")
            let path = bench.path("it's $HOME")
            let evidence = try await action(["path": .string(path)]).perform(bench.context())
            #expect(evidence.summary == "\(path) is there: seen at look 1")
            let missing = bench.path("missing")
            let failure = try await thrown(
                try await action(["path": .string(missing), "within": .int(2)]).perform(bench.context())
            )
            #expect(failure?.message.hasPrefix("waited 2s in vain until \(missing) is there (") == true)
        }
    }

    // MARK: - Ports

    @Test(arguments: [["bash"], ["curl", "grep"]])
    func `an open port is told from a closed one`(programs: [String]) async throws {
        try await GenericActionBench.with { bench in
            let prelude = try bench.onlyPrograms(["sh", "timeout", "sleep"] + programs)
            let listener = try Listener()
            let open = try await action(["port": .int(listener.port)]).perform(bench.context(prelude: prelude))
            #expect(open.summary == "port \(listener.port) of 127.0.0.1 is open: seen at look 1")
            let name = try await action(["port": .int(listener.port), "host": .string("localhost")])
                .perform(bench.context(prelude: prelude))
            #expect(name.values["looks"] == "1")
            // Port 1 (tcpmux) is not used by anything.
            let failure = try await thrown(
                try await action(["port": .int(1), "within": .int(2), "every": .int(5)])
                    .perform(bench.context(prelude: prelude))
            )
            #expect(failure?.message.hasPrefix("waited 2s in vain until port 1 of 127.0.0.1 is open (1 look") == true)
        }
    }

    @Test func `a node that cannot look at ports says what it lacks`() async throws {
        try await GenericActionBench.with { bench in
            let prelude = try bench.onlyPrograms(["sh", "timeout", "sleep"])
            let failure = try await thrown(
                try await action(["port": .int(1), "within": .int(2)]).perform(bench.context(prelude: prelude))
            )
            #expect(
                failure?.message == "cannot look at ports: the node has neither bash nor nc nor a curl with telnet"
            )
        }
    }

    // MARK: - Parameters

    @Test(
        arguments: [
            ([:], "none"),
            (["run": Value.string("x"), "port": .int(1)], "run and port"),
            (["run": .string("x"), "port": .int(1), "path": .string("/x")], "run and port and path"),
        ]
    )
    func `exactly one thing is waited for`(values: [String: Value], found: String) {
        #expect(
            throws: ActionFailure("wait_for: exactly one of run, port and path must be given, found \(found)")
        ) { try action(values) }
    }

    @Test(arguments: ["-x", "a b", "a/b", "$(id)"])
    func `what is no host is refused`(host: String) {
        #expect(throws: ActionFailure("wait_for: `host: \(host)` is neither a name nor an address")) {
            try action(["port": .int(1), "host": .string(host)])
        }
    }

    @Test func `times that make no sense are refused`() {
        #expect(throws: ActionFailure.self) { try action(["path": .string("/"), "within": .int(0)]) }
        #expect(throws: ActionFailure.self) { try action(["path": .string("/"), "every": .int(0)]) }
    }
}

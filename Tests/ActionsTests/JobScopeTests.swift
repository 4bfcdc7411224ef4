// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

/// A way to a booted node whose first change runs in a unit of its own, as where sshd has one for each connection; the
/// unit is stopped, with all that is left in it, when the file `/run/begun` is there.
private final class UnitHost: ForwardingHost {
    let inner: any RemoteHost
    let name = "n1"

    init(_ node: NamespaceHost) { inner = node }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        guard command.effect == .mutating else { return try await inner.run(command) }
        var outer = command
        outer.script = """
            systemd-run --quiet --pipe --wait --unit=ssh@cut.service /bin/sh -c \(ShellQuoting.quote(command.script)) &
            n=0; until [ -s /run/begun ] || [ $n -gt 500 ]; do sleep 0.02; n=$((n + 1)); done
            systemctl stop ssh@cut.service; wait
            """
        _ = try await inner.run(outer)
        throw RemoteError(.inDoubt, host: name, "the connection was cut")
    }
}

@Suite(.serialized, .enabled(if: BootedNode.obstacle == nil, BootedNode.obstacle), .timeLimit(.minutes(3)))
struct JobScopeTests {
    @Test func `a job outlives a connection whose unit is stopped, in a scope of its own`() async throws {
        try await BootedNode.with { node in
            let job = JobHost(
                UnitHost(node.host),
                id: JobID(run: "r1", step: "steps.1/n1", attempt: 1),
                state: NodeState()
            )
            var command = RemoteCommand(
                "work",
                script: "cat /proc/self/cgroup; echo x >/run/begun; sleep 1.5; echo ended",
                effect: .mutating
            )
            command.isDetached = true
            let result = try await job.run(command)
            #expect(result.exitCode == 0)
            #expect(result.output.hasSuffix("ended\n"))
            #expect(result.output.contains(".scope\n"), "\(result.output)")
        }
    }
}

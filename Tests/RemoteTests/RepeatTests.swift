// SPDX-License-Identifier: Apache-2.0

import Remote
import TestSupport
import Testing

/// What is sent a second time, and what is not.
struct RepeatTests {
    /// Fails as it is told to, one error for each time, and succeeds when none is left.
    private actor Failing: CommandOnlyHost {
        nonisolated let name = "n1"
        private var errors: [RemoteError.Code]
        private(set) var times = 0

        init(_ errors: [RemoteError.Code]) { self.errors = errors }

        func run(_ command: RemoteCommand) throws(RemoteError) -> CommandResult {
            times += 1
            if !errors.isEmpty { throw RemoteError(errors.removeFirst(), host: name, "time \(times)") }
            return CommandResult(exitCode: 0, standardOutput: [], standardError: [], duration: .zero)
        }
    }

    private let command = RemoteCommand("say goodbye", script: "true", effect: .mutating)

    @Test func `a command whose end was not seen is sent once more`() async throws {
        let host = Failing([.inDoubt])
        #expect(try await host.runRepeatably(command).exitCode == 0)
        #expect(await host.times == 2)
    }

    @Test func `a second doubt is told`() async {
        let host = Failing([.inDoubt, .inDoubt])
        let error = await #expect(throws: RemoteError.self) { _ = try await host.runRepeatably(command) }
        #expect(error?.message == "time 2")
        #expect(await host.times == 2)
    }

    @Test(arguments: [RemoteError.Code.unreachable, .fenced, .become, .unrecorded])
    func `what was not begun is not sent again`(code: RemoteError.Code) async {
        let host = Failing([code])
        await #expect(throws: RemoteError.self) { _ = try await host.runRepeatably(command) }
        #expect(await host.times == 1)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

@testable import Engine

@Suite struct StepRunnerTests {
    /// A host whose answer never comes.
    private struct SilentHost: CommandOnlyHost {
        var name: String

        func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
            try? await Task.sleep(for: .seconds(86_400))
            throw RemoteError(.unreachable, host: name, "cancelled")
        }
    }

    private func ending(of action: String, on host: @escaping HostDirectory.Connector) async throws -> StepRunner.Ending
    {
        let desk = try Desk([
            "hosts.ini": "n1\n", "play.yaml": "hosts: all\nsteps:\n  - \(action)\n    timeout: 100ms\n",
        ])
        let play = try PlayLoader.load(desk.request())
        let plan = Planner.plan(play, Survey(order: play.hosts, memberIDs: [:]))
        let runner = StepRunner(
            run: "r1",
            play: play,
            hosts: HostDirectory(play, connector: host),
            facts: Facts(),
            grace: .zero
        )
        let step = try #require(plan.steps.first)
        return await runner.perform(.init(step: step, attempt: 1, completedHosts: [], progress: { _ in }, turn: 1))
    }

    @Test func `a change that does not come back within its time is in doubt`() async throws {
        let ending = try await ending(of: "command: x") { SilentHost(name: $0.name) }
        guard case .inDoubt(let failure) = ending.outcome else {
            Issue.record("\(ending.outcome)")
            return
        }
        #expect(failure.message.hasPrefix("no end was seen within"))
        #expect(failure.host == "n1")
        #expect(failure.step == StepID("steps.1/n1"))
    }

    @Test func `a look that does not come back has failed, and changed nothing`() async throws {
        let ending = try await ending(of: "wait_for: { path: /x }") { SilentHost(name: $0.name) }
        guard case .failed = ending.outcome else {
            Issue.record("\(ending.outcome)")
            return
        }
    }

    @Test func `what was not sent has failed, and is not in doubt`() async throws {
        let ending = try await ending(of: "command: x") { NamedHost(name: $0.name) }
        guard case .failed(let failure) = ending.outcome else {
            Issue.record("\(ending.outcome)")
            return
        }
        #expect(failure.message == "not there")
    }
}

/// Facts in memory.
actor Facts: FactLedger {
    private var values: [String: String]

    init(_ values: [String: String] = [:]) { self.values = values }

    func fact(_ name: String) -> String? { values[name] }
    func record(_ name: String, _ value: String) { values[name] = value }
}

// SPDX-License-Identifier: Apache-2.0

import Actions
import Etcd
import Fleet
import Foundation
import Rollout
import Testing

@testable import Engine

@Suite struct RunConclusionTests {
    private static func look(revision: Int64? = nil, isDown: Bool = false, isUnreachable: Bool = false) -> ClusterLook {
        var look = ClusterLook(EtcdProbeError(.noAnswer, host: "n1", "x"))
        (look.revision, look.isDown, look.isUnreachable) = (revision, isDown, isUnreachable)
        return look
    }

    private static let failure = Failure("no")
    private static let down = look(isDown: true)
    private static let gone = look(isUnreachable: true)

    @Test(
        arguments: [
            (.untouched, look(revision: 1), "v2"), (.untouched, look(revision: 7), "has v3 data"),
            (.untouched, down, "stopped"), (.untouched, gone, "unreachable"), (.untouched, nil, "unknown"),
            (.restored, look(revision: 1), "v2"), (.restored, look(), "unknown"),
            (.restored, look(revision: 7), "in doubt"),
            (.restored, down, "stopped"), (.complete, look(revision: 7), "migrated"), (.complete, down, "stopped"),
            (.complete, gone, "unreachable"), (.touched(StepID("steps.3/n1")), look(revision: 1), "in doubt"),
            (.touched(StepID("steps.3/n1")), down, "stopped"), (.touched(StepID("steps.3/n1")), gone, "in doubt"),
            (.restoreFailed(failure), look(revision: 7), "in doubt"), (.restoreFailed(failure), down, "stopped"),
        ] as [(HostProgress, ClusterLook?, String)]
    )
    func `a member of a migration has the state that it shows`(
        progress: HostProgress,
        look: ClusterLook?,
        expected: String
    ) {
        #expect(ReportedState.word(progress, look, migrates: true) == expected)
    }

    @Test(
        arguments: [
            (.untouched, nil, "unchanged"), (.untouched, down, "stopped"), (.restored, nil, "restored"),
            (.complete, nil, "done"), (.complete, gone, "unreachable"), (.untouched, look(revision: 7), "unchanged"),
        ] as [(HostProgress, ClusterLook?, String)]
    )
    func `where nothing is migrated, nothing is said of the stores`(
        progress: HostProgress,
        look: ClusterLook?,
        expected: String
    ) {
        #expect(ReportedState.word(progress, look, migrates: false) == expected)
    }

    private func commands(
        _ verdict: Verdict,
        _ command: RepeatedCommands.Command = .run,
        mayRollBack: Bool = false,
        rollbackOf: String? = nil
    ) -> [String] {
        let request = RunRequest(
            playbook: "my plays/p.yaml",
            inventory: ["a.ini", "b.ini"],
            limit: "n*",
            extraVariables: ["x=it's"]
        )
        let repeated = RepeatedCommands(
            command: command,
            request: request,
            state: "--state /s",
            rollbackOf: rollbackOf
        )
        return repeated.next(after: verdict, run: "r1", mayRollBack: mayRollBack).map(\.command)
    }

    @Test func `a halted run whose changes can be taken back offers that`() {
        #expect(
            commands(.halted(Self.failure), mayRollBack: true) == [
                "pawl resume r1 --state /s", "pawl rollback r1 --state /s", "pawl status r1 --state /s",
            ]
        )
    }

    @Test func `a refused rollback is repeated as one`() {
        #expect(commands(.refused(Self.failure), rollbackOf: "r0") == ["pawl rollback r0 --state /s"])
    }

    @Test func `a member that was taken back is said to be`() {
        #expect(ReportedState.word(.complete, nil, migrates: false, rollsBack: true) == "rolled back")
    }

    @Test func `a refused run prints the command line that it was, quoted for a shell`() {
        #expect(
            commands(.refused(Self.failure)) == [
                "pawl run -i a.ini -i b.ini --limit 'n*' -e 'x=it'\\''s' 'my plays/p.yaml' --state /s"
            ]
        )
    }

    @Test(arguments: [Verdict.halted(failure), .drifted(failure), .interrupted])
    func `any other end says how to resume`(verdict: Verdict) {
        #expect(commands(verdict) == ["pawl resume r1 --state /s", "pawl status r1 --state /s"])
    }

    @Test(arguments: [Verdict.refused(failure), .interrupted])
    func `a look by itself is only repeated, never resumed or run`(verdict: Verdict) {
        let line = commands(verdict, .verify)
        #expect(line.count == 1)
        #expect(line.first?.hasPrefix("pawl verify -i a.ini") == true)
    }

    @Test func `the outage lasts from the order to stop to the first healthy answer`() async throws {
        let facts = Facts()
        let clock = OutageClock(facts: facts)
        func step(_ number: Int, _ effect: StepEffect, _ availability: Availability = .unchanged) -> PlannedStep {
            PlannedStep(
                id: StepID("steps.\(number)/n1"),
                phase: .steps,
                host: "n1",
                name: "s",
                action: "a",
                effect: effect,
                availability: availability,
                digest: ""
            )
        }
        // Neither a look before the stop nor a step that leaves the member in service begins an outage.
        await clock.stepBegins(step(1, .repeatable))
        await clock.stepSucceeded(step(1, .readOnly))
        #expect(await facts.fact("n1:unavailable_seconds") == nil)

        await clock.stepBegins(step(2, .repeatable, .takesOut))
        let order = try #require(await facts.fact("n1:out_since").flatMap(Double.init))
        #expect(abs(order - Date().timeIntervalSince1970) < 5)
        // Another controller may see the end.
        await facts.record("n1:out_since", String(order - 90))
        await clock.stepSucceeded(step(3, .repeatable, .bringsBack))
        #expect(await facts.fact("n1:unavailable_seconds") == "")
        await OutageClock(facts: facts).stepSucceeded(step(4, .readOnly))
        let first = await facts.fact("n1:unavailable_seconds")
        let seconds = try #require(first.flatMap(Double.init))
        #expect((90...95).contains(seconds))
        // Only the first healthy answer counts.
        await facts.record("n1:out_since", "0")
        await clock.stepSucceeded(step(5, .readOnly))
        #expect(await facts.fact("n1:unavailable_seconds") == first)
    }
}

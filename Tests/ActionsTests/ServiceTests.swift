// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Remote
import TestSupport
import Testing

/// The form with the operator's own commands, on a real etcd.
@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd on this machine"))
struct ServiceTests {
    @Test func `own commands stop, start and restart a member, and each state is observed`() async throws {
        try await LiveMember.with { member in
            let (stop, start, restart) = (
                try member.service("stopped"), try member.service("started"), try member.service("restarted")
            )
            // Nothing keeps it down, so something may be about to start it.
            guard case .inDoubt = try await start.observe(member.context("s.1/n1")) else {
                Issue.record("a stopped service that nobody holds is not seen as such")
                return
            }
            _ = try await start.perform(member.context("s.1/n1"))
            guard case .done = try await start.observe(member.context("s.1/n1")),
                case .notBegun = try await stop.observe(member.context("s.2/n1")),
                case .notBegun = try await restart.observe(member.context("s.3/n1"))
            else {
                Issue.record("a running service is not seen as such")
                return
            }
            _ = try await restart.perform(member.context("s.3/n1"))
            guard case .done = try await restart.observe(member.context("s.3/n1")),
                case .notBegun = try await restart.observe(member.context("s.4/n1"))
            else {
                Issue.record("a restart is not told from another step's")
                return
            }
            let before = Date.now.timeIntervalSince1970
            let evidence = try await stop.perform(member.context("s.2/n1"))
            #expect(evidence.values["clean"] == "yes")
            let recorded = await member.ledger.fact("n1:stopped_at") ?? ""
            let at = try #require(Double(recorded))
            #expect(at >= before - 0.1 && at <= Date.now.timeIntervalSince1970)
            guard case .done = try await stop.observe(member.context("s.2/n1")) else {
                Issue.record("a stop of this run is not seen as done")
                return
            }
            // A second try finds the first one's work, and does not move the moment of the stop.
            _ = try await stop.perform(member.context("s.2/n1"))
            #expect(Double(await member.ledger.fact("n1:stopped_at") ?? "") == at)
            _ = try await stop.undo(member.context("s.2/n1"))
            guard case .done = try await start.observe(member.context("s.1/n1")) else {
                Issue.record("the undo of a stop does not start")
                return
            }
        }
    }

    @Test func `a service that was stopped by others cannot be called cleanly stopped`() async throws {
        try await LiveMember.with { member in
            let error = try await failure { try await member.service("stopped").perform(member.context("s.1/n1")) }
            #expect(error.message.contains("stopped already"), "\(error)")
            guard case .inDoubt = try await member.service("stopped").observe(member.context("s.1/n1")) else {
                Issue.record("a stop by others is taken for this run's")
                return
            }
        }
    }

    @Test(arguments: [
        ("exit 1", "true", "exit 0", "did not stop cleanly: the stop command ended with 1"),
        ("exit 0", "true", "exit 0", "still runs"),
        ("true", "true", "exit 1", "must exit with 0"),
    ])
    func `a stop whose end is not seen fails`(
        _ stop: String,
        start: String,
        status: String,
        message: String
    ) async throws {
        try await LiveMember.with { member in
            let service = try Service(
                Parameters([
                    "name": .string(member.unit), "state": .string("stopped"),
                    "start": .string(start), "stop": .string(stop), "status": .string(status), "within": .int(5),
                ])
            )
            let error = try await failure { try await service.perform(member.context("s.1/n1")) }
            #expect(error.description.contains(message), "\(error)")
        }
    }

    @Test func `a start that fails shows what the command said last`() async throws {
        try await LiveMember.with { member in
            try await member.sh("echo --no-such-flag >\(member.root)/args")
            let error = try await failure { try await member.service("started").perform(member.context("s.1/n1")) }
            #expect(error.message.contains("| it died"), "\(error)")
        }
    }

    @Test func `half of the own commands, or a name with a slash, is refused`() {
        let base: [String: Value] = ["name": .string("etcd"), "state": .string("stopped")]
        #expect(throws: ActionFailure.self) {
            try Service(Parameters(base.merging(["stop": .string("x")]) { $1 }))
        }
        #expect(throws: ActionFailure.self) {
            try Service(Parameters(["name": .string("../x"), "state": .string("stopped")]))
        }
        #expect(throws: ActionFailure.self) {
            try Service(Parameters(["name": .string("-H x"), "state": .string("stopped")]))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Playbooks
import Rollout
import Testing

@Suite struct PlannerTests {
    private static let hosts = "[etcd]\nn2\nn1\nn3\n"

    private func play(_ playbook: String, hosts: String = hosts, extra: [String] = []) throws -> Play {
        let desk = try Desk(["play.yaml": playbook, "hosts.ini": hosts])
        return try PlayLoader.load(desk.request(extra: extra))
    }

    private func shipped(_ name: String, extra: [String] = []) throws -> Play {
        let desk = try Desk(["hosts.ini": Self.hosts])
        return try PlayLoader.load(
            RunRequest(
                playbook: "\(repository)/playbooks/\(name).yaml",
                inventory: [desk.file("hosts.ini")],
                extraVariables: extra
            )
        )
    }

    private func survey(last: String) -> Survey {
        let others = ["n2", "n1", "n3"].filter { $0 != last }
        return Survey(order: others + [last], memberIDs: ["n1": "1", "n2": "2", "n3": "3", "cluster": "c"])
    }

    @Test func `the leader goes last unless the playbook wants the inventory's order`() throws {
        let playbook = "hosts: etcd\nsteps:\n  - etcd_healthy: {}\n"
        #expect(Planner.plan(try play(playbook), survey(last: "n2")).hosts == ["n1", "n3", "n2"])
        let ordered = try play("order: inventory\n" + playbook)
        #expect(Planner.plan(ordered, survey(last: "n2")).hosts == ["n2", "n1", "n3"])
    }

    @Test func `a rolling change of members needs a quorum, and nothing else does`() throws {
        let rolling = "hosts: etcd\nsteps:\n  - etcd_healthy: {}\n"
        #expect(Planner.plan(try play(rolling), survey(last: "n3")).needsQuorum)
        #expect(!Planner.plan(try play("serial: all\n" + rolling), survey(last: "n3")).needsQuorum)
        #expect(!Planner.plan(try play("hosts: etcd\nsteps:\n  - command: x\n"), survey(last: "n3")).needsQuorum)
    }

    @Test func `equal inputs give an equal plan, and a changed parameter another digest of that step only`() throws {
        func plan(_ text: String, _ extra: [String] = []) throws -> Plan {
            let playbook =
                "name: P\nhosts: etcd\ndefaults: { v: 1 }\nsteps:\n  - command: \(text)\n  - command: \"{{ v }}\"\n"
            return Planner.plan(try play(playbook, extra: extra), survey(last: "n3"))
        }
        let first = try plan("echo a")
        #expect(try plan("echo a") == first)
        #expect(try plan("echo a").digest() == first.digest())
        let changed = try plan("echo b")
        #expect(changed.steps.map(\.id) == first.steps.map(\.id))
        let differing = zip(first.steps, changed.steps).filter { $0.digest != $1.digest }.map(\.0.id.text)
        #expect(differing == ["steps.1/n2", "steps.1/n1", "steps.1/n3"] || Set(differing).count == 3)
        #expect(differing.allSatisfy { $0.hasPrefix("steps.1/") })
        let other = try plan("echo a", ["v=2"])
        #expect(other.inputs.variables != first.inputs.variables)
        #expect(
            zip(first.steps, other.steps).filter { $0.digest != $1.digest }.allSatisfy {
                $0.0.id.text.hasPrefix("steps.2/")
            }
        )
    }

    @Test func `the migration is planned member by member, with gates between them`() throws {
        let plan = Planner.plan(try shipped("migrate_etcd_v2_to_v3"), survey(last: "n2"))
        #expect(
            plan.stages.map(\.id) == [
                "preflight.1", "freeze.1", "gate.1@start", "prepare.1", "prepare.2", "steps@n1", "gate.1@n1",
                "steps@n3",
                "gate.1@n3", "steps@n2", "postflight.1", "postflight.2", "postflight.3", "postflight.4",
                "postflight.5",
            ]
        )
        #expect(
            plan.steps.map(\.id.text) == [
                "preflight.1/*", "preflight.2/n2", "preflight.2/n1", "preflight.2/n3",
                "freeze.1/n2", "freeze.1/n1", "freeze.1/n3", "gate.1@start/*",
                "prepare.1/n2", "prepare.1/n1", "prepare.1/n3", "prepare.2/n2", "prepare.2/n1", "prepare.2/n3",
                "steps.1/n1", "steps.2/n1", "steps.3/n1", "steps.4/n1", "steps.5/n1", "gate.1@n1/*",
                "steps.1/n3", "steps.2/n3", "steps.3/n3", "steps.4/n3", "steps.5/n3", "gate.1@n3/*",
                "steps.1/n2", "steps.2/n2", "steps.3/n2", "steps.4/n2", "steps.5/n2",
                "postflight.1/*", "postflight.2/*", "postflight.3/*", "postflight.4/*", "postflight.5/*",
            ]
        )
        // Unless it is asked for, no port is closed, and the freeze counts as no change.
        #expect(plan.steps.filter { $0.phase == .freeze }.allSatisfy { $0.effect == .readOnly && !$0.hasUndo })
        let unit = plan.steps.filter { $0.host == "n1" && $0.phase == .steps }
        #expect(unit.map(\.action) == ["service", "backup", "etcd_migrate", "service", "etcd_healthy"])
        #expect(unit.map(\.effect) == [.repeatable, .repeatable, .once, .repeatable, .readOnly])
        #expect(unit.map(\.availability) == [.takesOut, .unchanged, .unchanged, .bringsBack, .unchanged])
        #expect(unit[2].hasUndo)
        #expect(plan.needsQuorum)
        #expect(plan.serial == .hosts(1))
        #expect(plan.onFailure == .restore)
        #expect(plan.inputs.members["n3"] == "3")
    }

    @Test func `a prepared migration differs in what is done before the first member only`() throws {
        let inPlace = Planner.plan(try shipped("migrate_etcd_v2_to_v3_in_place"), survey(last: "n3"))
        let prepared = Planner.plan(try shipped("migrate_etcd_v2_to_v3"), survey(last: "n3"))
        // The preflight asks for room for the copies, too.
        let others = prepared.steps.filter { $0.phase != .prepare }
        #expect(others.filter { $0.phase != .preflight } == inPlace.steps.filter { $0.phase != .preflight })
        #expect(others.map(\.id) == inPlace.steps.map(\.id))
        #expect(
            prepared.steps.filter { $0.phase == .prepare }.map(\.action)
                == Array(repeating: "etcd_prepare", count: 3) + Array(repeating: "backup_ahead", count: 3)
        )
        // It is detached on the node, so a resumed run must ask for it as a job.
        #expect(prepared.steps.allSatisfy { $0.phase != .prepare || $0.isJob })
    }

    @Test func `a reseed migrates on the leader's host, and the others join it one by one`() throws {
        let play = try shipped("migrate_etcd_v2_to_v3_reseed")
        let plan = Planner.plan(play, survey(last: "n2"))
        #expect(WayAdvisor.way(of: play) == .reseed)
        func hosts(_ action: String) -> [String?] { plan.steps.filter { $0.action == action }.map(\.host) }
        #expect(hosts("etcd_migrate") == ["n2"] && hosts("etcd_new_cluster") == ["n2"])
        #expect(hosts("etcd_set_aside") == ["n1", "n3"] && hosts("etcd_rejoin") == ["n1", "n3"])
        let joins = plan.stages.filter { stage in
            stage.lanes.contains { $0.steps.contains { $0.text.hasPrefix("steps.7/") } }
        }
        #expect(joins.map(\.lanes.count) == [1, 1])
        #expect(!plan.needsQuorum)
        #expect(WayAdvisor.way(of: try shipped("migrate_etcd_v2_to_v3_stopped")) == .stopped)
        #expect(WayAdvisor.way(of: try shipped("migrate_etcd_v2_to_v3_in_place")) == .rolling)
        #expect(WayAdvisor.way(of: try shipped("backup_etcd")) == nil)
    }

    @Test(arguments: [
        "migrate_etcd_v2_to_v3", "migrate_etcd_v2_to_v3_in_place", "migrate_etcd_v2_to_v3_stopped",
        "migrate_etcd_v2_to_v3_reseed", "backup_etcd", "restart_etcd", "force_snapshot", "remove_v2_data",
    ])
    func `every shipped playbook can be planned`(name: String) throws {
        let play = try shipped(name)
        let plan = Planner.plan(play, survey(last: "n3"))
        #expect(Set(plan.steps.map(\.id)).count == plan.steps.count)
        for step in plan.steps {
            #expect(play.step(step)?.action == step.action)
            #expect(!step.digest.isEmpty)
        }
        // A plan survives its file.
        #expect(try JSONDecoder().decode(Plan.self, from: JSONEncoder().encode(plan)) == plan)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Rollout

/// What a step of the simulated plan does.
enum StepWork: Sendable {
    case ready, freeze, prepare, stop, backup, migrate, start, healthy, consistent, verified
}

/// The plan of a migration as the project's playbook lays it out, with each step's work and host at hand.
struct Scenario: Sendable {
    struct Step: Sendable {
        var planned: PlannedStep
        var work: StepWork
        /// The place of its host among the nodes; `nil` for one that looks at all members.
        var host: Int?
    }

    let members: Int
    let hasWriters: Bool
    let plan: Plan
    let steps: [StepID: Step]
    let names: [String]

    /// The shapes that a story is told with; made once because plans are made of many words.
    static let all: [Scenario] = [
        Scenario(members: 3, hasWriters: true, onFailure: .restore, freeze: .once, isPrepared: true),
        Scenario(members: 3, hasWriters: true, onFailure: .restore, freeze: .once, isPrepared: false),
        Scenario(members: 3, hasWriters: false, onFailure: .restore, freeze: .once, isPrepared: true),
        Scenario(members: 3, hasWriters: true, onFailure: .halt, freeze: .repeatable, isPrepared: false),
        Scenario(members: 5, hasWriters: true, onFailure: .restore, freeze: .repeatable, isPrepared: true),
        Scenario(members: 1, hasWriters: false, onFailure: .restore, freeze: .once, isPrepared: false),
    ]

    init(members: Int, hasWriters: Bool, onFailure: Plan.OnFailure, freeze: StepEffect, isPrepared: Bool) {
        let hosts = (1...members).map { "n\($0)" }
        let names = hosts + (hasWriters ? ["api1"] : [])
        var entries = [
            Self.entry(.preflight, 1, "ready", on: nil, hosts),
            Self.entry(.steps, 1, "stop", .repeatable, .takesOut, "service etcd", hasUndo: true, on: hosts, hosts),
            Self.entry(.steps, 2, "backup", .repeatable, .unchanged, "backup of data", on: hosts, hosts),
            Self.entry(.steps, 3, "migrate", .once, .unchanged, "etcd data", hasUndo: true, on: hosts, hosts),
            Self.entry(.steps, 4, "start", .repeatable, .bringsBack, "service etcd", hasUndo: true, on: hosts, hosts),
            Self.entry(.steps, 5, "healthy", on: hosts, hosts),
            Self.entry(.gate, 1, "consistent", on: nil, hosts),
            Self.entry(.postflight, 1, "verified", on: nil, hosts),
        ]
        if hasWriters {
            entries.append(
                Self.entry(.freeze, 1, "freeze", freeze, .unchanged, "writers", hasUndo: true, on: ["api1"], hosts)
            )
        }
        if isPrepared {
            entries.append(
                Self.entry(.prepare, 1, "prepare", .repeatable, .unchanged, "copy", hasUndo: true, on: hosts, hosts)
            )
        }
        let layout = PlanLayout.lay(entries, over: hosts, serial: .hosts(1))
        plan = Plan(
            name: "migrate",
            hosts: hosts,
            serial: .hosts(1),
            onFailure: onFailure,
            needsQuorum: true,
            stages: layout.stages,
            steps: layout.steps,
            inputs: .init(inventory: "i", playbook: "p", variables: "v", members: [:])
        )
        let works: [String: StepWork] = [
            "ready": .ready, "freeze": .freeze, "prepare": .prepare, "stop": .stop, "backup": .backup,
            "migrate": .migrate,
            "start": .start, "healthy": .healthy, "consistent": .consistent, "verified": .verified,
        ]
        var steps: [StepID: Step] = [:]
        for planned in layout.steps {
            guard let work = works[planned.action] else { preconditionFailure("no work for \(planned.action)") }
            steps[planned.id] = Step(
                planned: planned,
                work: work,
                host: planned.host.flatMap { names.firstIndex(of: $0) }
            )
        }
        (self.members, self.hasWriters, self.steps, self.names) = (members, hasWriters, steps, names)
    }

    func step(_ work: StepWork, on host: Int) -> StepID? {
        steps.first { $0.value.work == work && $0.value.host == host }?.key
    }

    private static func entry(
        _ phase: Phase,
        _ number: Int,
        _ action: String,
        _ effect: StepEffect = .readOnly,
        _ availability: Availability = .unchanged,
        _ resource: String? = nil,
        hasUndo: Bool = false,
        on hosts: [String]?,
        _ all: [String]
    ) -> PlanLayout.Entry {
        PlanLayout.Entry(
            phase: phase,
            number: number,
            isClusterWide: hosts == nil,
            hosts: hosts ?? all
        ) { id, host in
            PlannedStep(
                id: id,
                phase: phase,
                host: host,
                name: action,
                action: action,
                effect: effect,
                availability: availability,
                resource: resource,
                hasUndo: hasUndo,
                digest: action
            )
        }
    }
}

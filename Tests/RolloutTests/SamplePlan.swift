// SPDX-License-Identifier: Apache-2.0

import Rollout

/// The plan of a migration as the playbook of the project lays it out, small enough to go through it by hand.
struct SamplePlan: Sendable {
    var hosts = ["n1", "n2", "n3"]
    var serial = Plan.Serial.hosts(1)
    var onFailure = Plan.OnFailure.restore
    var needsQuorum = true
    /// Hosts of the writers that the freeze stops.
    var writers = ["api1"]
    var freezeEffect = StepEffect.once
    var freezeHasUndo = true
    var hasExplicitThaw = false
    var migrateHasUndo = true
    var mayRedoMigrate = true
    /// Whether copies are migrated on all hosts before the first is touched.
    var hasPrepare = false
    /// Whether something is uploaded before the preflight.
    var hasTools = false

    func make() -> Plan {
        let layout = PlanLayout.lay(entries, over: hosts, serial: serial)
        return Plan(
            name: "migrate",
            hosts: hosts,
            serial: serial,
            onFailure: onFailure,
            needsQuorum: needsQuorum,
            stages: layout.stages,
            steps: layout.steps,
            inputs: .init(inventory: "i", playbook: "p", variables: "v", members: [:])
        )
    }

    var entries: [PlanLayout.Entry] {
        var all: [PlanLayout.Entry] = []
        if hasTools { all.append(entry(.tools, 1, "upload", .repeatable, resource: "file tool", hasUndo: true)) }
        all.append(entry(.preflight, 1, "etcd_ready", clusterWide: true))
        all.append(
            entry(.freeze, 1, "freeze", freezeEffect, resource: "writers", hasUndo: freezeHasUndo, on: writers)
        )
        if hasPrepare { all.append(entry(.prepare, 1, "prepare", .repeatable, resource: "copy", hasUndo: true)) }
        all += [
            entry(.steps, 1, "stop", .repeatable, .takesOut, resource: "service etcd", hasUndo: true),
            entry(.steps, 2, "backup", .repeatable, resource: "backup of etcd data"),
            entry(
                .steps,
                3,
                "migrate",
                .once,
                resource: "etcd data",
                hasUndo: migrateHasUndo,
                mayRedoAfterUndo: mayRedoMigrate
            ),
            entry(.steps, 4, "start", .repeatable, .bringsBack, resource: "service etcd", hasUndo: true),
            entry(.steps, 5, "healthy"),
            entry(.gate, 1, "consistent", clusterWide: true),
        ]
        if hasExplicitThaw { all.append(entry(.thaw, 1, "thaw", .repeatable, on: writers)) }
        all.append(entry(.postflight, 1, "verified", clusterWide: true))
        return all
    }

    private func entry(
        _ phase: Phase,
        _ number: Int,
        _ action: String,
        _ effect: StepEffect = .readOnly,
        _ availability: Availability = .unchanged,
        resource: String? = nil,
        hasUndo: Bool = false,
        mayRedoAfterUndo: Bool = true,
        clusterWide: Bool = false,
        on hosts: [String]? = nil
    ) -> PlanLayout.Entry {
        PlanLayout.Entry(
            phase: phase,
            number: number,
            isClusterWide: clusterWide,
            hosts: hosts ?? self.hosts
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
                mayRedoAfterUndo: mayRedoAfterUndo,
                digest: action
            )
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Which step will be done on which host in which order, said before anything changes.
///
/// A plan is made from the inventory, the playbook, the variables and the facts of the cluster, and bound to them by
/// digests. A run performs it as it stands; a resumed run takes it from the journal.
package struct Plan: Hashable, Sendable, Codable {
    /// How many hosts go through their steps at a time.
    package enum Serial: Hashable, Sendable, Codable {
        /// A batch of this many hosts goes through all steps, then the gate, then the next batch.
        case hosts(Int)
        /// All hosts do a step before any does the next: each step is a barrier.
        case all
    }

    /// What happens to a member whose step failed.
    package enum OnFailure: String, Sendable, Codable {
        /// Its steps are undone in reverse order, as far as that is provably safe.
        case restore
        /// It stays as it is.
        case halt
    }

    /// What the plan was made from; SHA-256 each.
    package struct Inputs: Hashable, Sendable, Codable {
        package var inventory: String
        package var playbook: String
        package var variables: String
        /// Cluster id and member ids by host; empty when the playbook knows no etcd.
        package var members: [String: String]
        /// Variables that were read off the running nodes, by host.
        ///
        /// A resumed run takes them from here, because what they were read off may be stopped then.
        package var discovered: [String: [String: String]]

        package init(
            inventory: String,
            playbook: String,
            variables: String,
            members: [String: String],
            discovered: [String: [String: String]] = [:]
        ) {
            self.inventory = inventory
            self.playbook = playbook
            self.variables = variables
            self.members = members
            self.discovered = discovered
        }
    }

    /// The playbook's name, as a person reads it.
    package var name: String
    /// Hosts of the play, in the order in which they will be changed.
    package var hosts: [String]
    package var serial: Serial
    package var onFailure: OnFailure
    /// Whether a quorum proof must precede each stop: true for a rolling change of etcd members.
    package var needsQuorum: Bool
    package var stages: [Stage]
    package var steps: [PlannedStep]
    package var inputs: Inputs
    /// Hosts whose member was down when the plan was made, by an earlier run's doing.
    ///
    /// Their first stop holds down what is down already, so the quorum is counted without them.
    package var down: Set<String> = []

    package init(
        name: String,
        hosts: [String],
        serial: Serial,
        onFailure: OnFailure,
        needsQuorum: Bool,
        stages: [Stage],
        steps: [PlannedStep],
        inputs: Inputs
    ) {
        self.name = name
        self.hosts = hosts
        self.serial = serial
        self.onFailure = onFailure
        self.needsQuorum = needsQuorum
        self.stages = stages
        self.steps = steps
        self.inputs = inputs
    }
}

extension Plan {
    /// Reads a plan; one that was written without `down` has nobody down.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try container.decode(String.self, forKey: .name),
            hosts: try container.decode([String].self, forKey: .hosts),
            serial: try container.decode(Serial.self, forKey: .serial),
            onFailure: try container.decode(OnFailure.self, forKey: .onFailure),
            needsQuorum: try container.decode(Bool.self, forKey: .needsQuorum),
            stages: try container.decode([Stage].self, forKey: .stages),
            steps: try container.decode([PlannedStep].self, forKey: .steps),
            inputs: try container.decode(Inputs.self, forKey: .inputs)
        )
        down = Set(try container.decodeIfPresent([String].self, forKey: .down) ?? [])
    }

    /// Writes a plan, with `down` only where there is one, and in order, so that equal plans have equal digests.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(name, forKey: .name)
        try container.encode(hosts, forKey: .hosts)
        try container.encode(serial, forKey: .serial)
        try container.encode(onFailure, forKey: .onFailure)
        try container.encode(needsQuorum, forKey: .needsQuorum)
        try container.encode(stages, forKey: .stages)
        try container.encode(steps, forKey: .steps)
        try container.encode(inputs, forKey: .inputs)
        if !down.isEmpty { try container.encode(down.sorted(), forKey: .down) }
    }

    private enum CodingKeys: String, CodingKey {
        case name, hosts, serial, onFailure, needsQuorum, stages, steps, inputs, down
    }
}

extension Plan.Inputs {
    /// Reads the inputs; a plan that was written without `discovered` knew everything from its inventory.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            inventory: try container.decode(String.self, forKey: .inventory),
            playbook: try container.decode(String.self, forKey: .playbook),
            variables: try container.decode(String.self, forKey: .variables),
            members: try container.decode([String: String].self, forKey: .members),
            discovered: try container.decodeIfPresent([String: [String: String]].self, forKey: .discovered) ?? [:]
        )
    }

    /// Writes the inputs, with `discovered` only where something was.
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(inventory, forKey: .inventory)
        try container.encode(playbook, forKey: .playbook)
        try container.encode(variables, forKey: .variables)
        try container.encode(members, forKey: .members)
        if !discovered.isEmpty { try container.encode(discovered, forKey: .discovered) }
    }

    private enum CodingKeys: String, CodingKey {
        case inventory, playbook, variables, members, discovered
    }
}

/// Steps between two points at which everything waits for everything: a host's steps, a gate, a barrier.
package struct Stage: Hashable, Sendable, Codable {
    /// What the stage does with its steps.
    package enum Work: String, Sendable, Codable {
        case perform
        /// Takes the steps back, last one first: the thaw of a playbook that does not write one.
        case undo
    }

    /// Steps that follow each other on one host, or on all (`host` is `nil`).
    ///
    /// Lanes of a stage run side by side.
    package struct Lane: Hashable, Sendable, Codable {
        package var host: String?
        package var steps: [StepID]

        package init(host: String?, steps: [StepID]) {
            self.host = host
            self.steps = steps
        }
    }

    /// As `steps@n1`; unique in the plan.
    package var id: String
    package var phase: Phase
    package var work: Work
    package var lanes: [Lane]

    package init(id: String, phase: Phase, work: Work = .perform, lanes: [Lane]) {
        self.id = id
        self.phase = phase
        self.work = work
        self.lanes = lanes
    }
}

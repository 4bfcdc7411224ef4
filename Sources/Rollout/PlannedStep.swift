// SPDX-License-Identifier: Apache-2.0

/// The parts of a playbook, in the order in which a run goes through them.
package enum Phase: String, Sendable, Codable, CaseIterable {
    case tools, preflight, freeze, prepare, steps, gate, thaw, postflight
}

/// What doing a step a second time would mean.
package enum StepEffect: String, Sendable, Codable {
    /// Looks only. Resume runs it again.
    case readOnly
    /// Doing it again leads to the same state. Resume observes it and completes it.
    case repeatable
    /// Must not happen twice. Resume skips what is proven done, performs what is proven not begun, and otherwise
    /// undoes it first or halts.
    case once
}

/// What a step does to the member's place in its cluster.
package enum Availability: String, Sendable, Codable {
    case unchanged
    /// The member stops serving.
    case takesOut
    /// The member serves again.
    case bringsBack
    /// The member is out for a moment within the step.
    case bounces
}

/// One step of a plan: what will be done, where, and what may be done with it when its end was not seen.
package struct PlannedStep: Hashable, Sendable, Codable {
    package var id: StepID
    package var phase: Phase
    /// The host it runs on; `nil` for a step that looks at all hosts at once.
    package var host: String?
    /// What the playbook calls it, or what the action says.
    package var name: String
    /// The action's word, as `etcd_migrate`.
    package var action: String
    package var effect: StepEffect
    package var availability: Availability
    /// The state that the step holds, as `service etcd`; a later step with the same resource supersedes it, so that
    /// resume looks at the newest holder only.
    package var resource: String?
    package var hasUndo: Bool
    /// Whether a resumed run may undo the step when it is in doubt, and do it again.
    package var mayRedoAfterUndo: Bool
    /// Whether its work runs on the node as a job.
    ///
    /// It is part of the plan, so that a resumed run knows whether there is a job to be looked for.
    package var isJob: Bool
    /// SHA-256 over the action's word and its parameters after templating.
    package var digest: String

    package init(
        id: StepID,
        phase: Phase,
        host: String?,
        name: String,
        action: String,
        effect: StepEffect,
        availability: Availability = .unchanged,
        resource: String? = nil,
        hasUndo: Bool = false,
        mayRedoAfterUndo: Bool = true,
        isJob: Bool = false,
        digest: String
    ) {
        self.id = id
        self.phase = phase
        self.host = host
        self.name = name
        self.action = action
        self.effect = effect
        self.availability = availability
        self.resource = resource
        self.hasUndo = hasUndo
        self.mayRedoAfterUndo = mayRedoAfterUndo
        self.isJob = isJob
        self.digest = digest
    }
}

extension PlannedStep {
    /// Reads a step; one that was written without `mayRedoAfterUndo` may be redone, and one without `isJob` was none.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            id: try container.decode(StepID.self, forKey: .id),
            phase: try container.decode(Phase.self, forKey: .phase),
            host: try container.decodeIfPresent(String.self, forKey: .host),
            name: try container.decode(String.self, forKey: .name),
            action: try container.decode(String.self, forKey: .action),
            effect: try container.decode(StepEffect.self, forKey: .effect),
            availability: try container.decode(Availability.self, forKey: .availability),
            resource: try container.decodeIfPresent(String.self, forKey: .resource),
            hasUndo: try container.decode(Bool.self, forKey: .hasUndo),
            mayRedoAfterUndo: try container.decodeIfPresent(Bool.self, forKey: .mayRedoAfterUndo) ?? true,
            isJob: try container.decodeIfPresent(Bool.self, forKey: .isJob) ?? false,
            digest: try container.decode(String.self, forKey: .digest)
        )
    }
}

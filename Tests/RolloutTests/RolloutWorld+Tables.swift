// SPDX-License-Identifier: Apache-2.0

@testable import Rollout

// What the tables ask the world.
extension RolloutWorld {
    /// A world in which directives are answered in the order in which they were given.
    static func orderly(_ plan: SamplePlan = SamplePlan()) -> RolloutWorld {
        var world = RolloutWorld(plan.make())
        world.isOrderly = true
        return world
    }

    /// What was performed and undone since the run was last begun or resumed, as `perform steps.1/n1`.
    var acts: [String] {
        session.compactMap { directive in
            switch directive {
            case .perform, .undo: directive.label
            default: nil
            }
        }
    }

    /// The same without looks.
    var changes: [String] {
        session.compactMap { directive in
            switch directive {
            case .perform(let id, _): steps[id]?.effect == .readOnly ? nil : directive.label
            case .undo: directive.label
            default: nil
            }
        }
    }

    var stagesEntered: [String] {
        session.compactMap { if case .enterStage(let stage) = $0 { stage.id } else { nil } }
    }

    var announcements: [String] {
        session.compactMap { if case .announce(_, let text) = $0 { text } else { nil } }
    }

    /// The directives of the last session.
    private var session: [Directive] {
        var directives: [Directive] = []
        for note in notes {
            switch note {
            case .directive(let directive): directives.append(directive)
            case .remark("-- run"), .remark("-- resume"): directives = []
            default: break
            }
        }
        return directives
    }

    var isFrozen: Bool { writers.values.contains { $0 != .open } }

    /// Runs and resumes without further faults, and says how it ended.
    mutating func resumeUndisturbed() -> Verdict? {
        (faults, undoFaults, unhealthyAt, incidents) = ([:], [:], [], [:])
        return run()
    }
}

extension Verdict {
    var failure: Failure? {
        switch self {
        case .refused(let failure), .halted(let failure), .drifted(let failure): failure
        case .done, .interrupted: nil
        }
    }
}

extension StepID: ExpressibleByStringLiteral {
    /// A step id as tables write it: `steps.1/n1`.
    public init(stringLiteral text: String) {
        self.init(text)
    }
}

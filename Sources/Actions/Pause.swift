// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Rollout

/// `pause`: waits on the controller, so that what happened can settle or be looked at.
package struct Pause: Action {
    package static let scope = ActionScope.cluster
    package static let schema = ActionSchema(
        word: "pause",
        summary: "Waits for a while on the controller; nothing is done on the hosts.",
        parameters: [.init("for", .duration, required: true, "How long to wait.")],
        shorthand: "for",
        example: """
            name: Let the alarms settle
            pause: 30s
            """
    )

    package let traits: ActionTraits
    private let length: Duration
    private let wait: @Sendable (Duration) async throws -> Void

    package init(_ parameters: Parameters) throws(ActionFailure) {
        try self.init(parameters) { try await Task.sleep(for: $0) }
    }

    /// With what passes the time given, so that a test need not wait.
    package init(
        _ parameters: Parameters,
        wait: @escaping @Sendable (Duration) async throws -> Void
    ) throws(ActionFailure) {
        guard let length = parameters.duration("for"), length >= .zero else {
            throw ActionFailure("pause: `for` must be a duration", remedy: "write 30s, 2m or 1h30m")
        }
        self.length = length
        self.wait = wait
        traits = ActionTraits(effect: .readOnly, defaultTimeout: length + .seconds(10))
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("a pause leaves nothing behind")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        var rest = length
        while rest > .zero {
            context.progress("\(DurationText.of(rest)) left")
            let nap = min(rest, .seconds(1))
            do {
                try await wait(nap)
            } catch {
                throw ActionFailure("the pause was ended after \(DurationText.of(length - rest))")
            }
            rest -= nap
        }
        return Evidence("waited \(DurationText.of(length))", ["seconds": DurationText.seconds(length)])
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("pause changes nothing, so there is nothing to take back")
    }
}

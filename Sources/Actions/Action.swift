// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import Rollout

/// What a step does: one word of the playbook, with how to observe, perform and undo it.
package protocol Action: Sendable {
    /// The word, its parameters and their documentation.
    static var schema: ActionSchema { get }
    static var scope: ActionScope { get }

    /// The parameters together with what they name on this machine, as the digest of a file.
    ///
    /// - Throws: what is wrong with it.
    static func bound(_ parameters: Parameters, beside playbook: String) throws(ActionFailure) -> Parameters

    /// - Throws: what is wrong with parameters that have the right types, as a service without a stop command.
    init(_ parameters: Parameters) throws(ActionFailure)

    var traits: ActionTraits { get }

    /// Looks at the node and says whether the step's work is in place. Changes nothing.
    func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation

    /// Does the work and proves it. Returning means: the evidence was seen.
    func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence

    /// Takes the work back, where ``ActionTraits/hasUndo``; refuses where that is not provably safe.
    func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence
}

extension Action {
    /// Most actions name nothing on this machine.
    package static func bound(_ parameters: Parameters, beside playbook: String) throws(ActionFailure) -> Parameters {
        parameters
    }
}

/// Whether an action runs on each host by itself or looks at all hosts at once.
package enum ActionScope: String, Sendable {
    case host
    case cluster
}

/// What the plan must know of a step before anything is contacted.
package struct ActionTraits: Sendable, Hashable {
    package var effect: StepEffect
    package var availability: Availability
    package var resource: String?
    package var hasUndo: Bool
    /// Whether a resumed run may undo a step that is in doubt and do it again.
    package var mayRedoAfterUndo: Bool
    /// The deadline of the whole step when the playbook does not set one.
    package var defaultTimeout: Duration
    package var job: JobRule

    package init(
        effect: StepEffect,
        availability: Availability = .unchanged,
        resource: String? = nil,
        hasUndo: Bool = false,
        mayRedoAfterUndo: Bool = true,
        defaultTimeout: Duration = .seconds(60),
        job: JobRule = .never
    ) {
        self.effect = effect
        self.availability = availability
        self.resource = resource
        self.hasUndo = hasUndo
        self.mayRedoAfterUndo = mayRedoAfterUndo
        self.defaultTimeout = defaultTimeout
        self.job = job
    }
}

/// Whether the work of a step runs on its node as a job, which outlives the connection.
package enum JobRule: Sendable, Hashable {
    case never
    case always
    /// When the step may take longer than this.
    case over(Duration)

    package func holds(for timeout: Duration) -> Bool {
        switch self {
        case .never: false
        case .always: true
        case .over(let limit): timeout > limit
        }
    }
}

/// What was found of a step's work on the node.
package enum Observation: Sendable, Equatable {
    case done(Evidence)
    case notBegun(String)
    case inDoubt(String)
}

/// What proves that a step did its work.
package struct Evidence: Sendable, Hashable {
    /// One line for people.
    package var summary: String
    /// Named values for the journal, the reports and later steps; none is a secret or a key's value.
    package var values: [String: String]
    /// Whether anything was done or looked at; a step that the playbook has switched off proves nothing.
    package var isProof = true

    package init(_ summary: String, _ values: [String: String] = [:]) {
        self.summary = summary
        self.values = values
    }

    /// Of a step that the playbook has switched off.
    package static func switchedOff(_ why: String) -> Evidence {
        var evidence = Evidence(why)
        evidence.isProof = false
        return evidence
    }
}

/// Why a step did not do its work.
package struct ActionFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What happened, in one line; more lines may follow where a list is the message.
    package var message: String
    /// What to do now.
    package var remedy: String?
    /// The node may have been changed in part or in whole, and nobody saw the end.
    package var isInDoubt: Bool
    /// The node refused the command because the lock is another's.
    package var isFenced = false
    /// The node could not be asked, or did not answer.
    package var isUnreachable = false

    package init(_ message: String, remedy: String? = nil, isInDoubt: Bool = false) {
        self.message = message
        self.remedy = remedy
        self.isInDoubt = isInDoubt
    }

    /// A transport error seen by an action.
    package init(_ error: RemoteError) {
        self.init(error.message, remedy: error.remedy, isInDoubt: !error.isNotBegun)
        isFenced = error.code == .fenced
        isUnreachable = ![.fenced, .refused, .unrecorded].contains(error.code)
    }

    package var description: String { message + (remedy.map { " (\($0))" } ?? "") }
}

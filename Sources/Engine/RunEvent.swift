// SPDX-License-Identifier: Apache-2.0

import Rollout

/// One thing that happened in a run, as the views show it and `--format json` prints it.
package struct RunEvent: Sendable {
    /// Seconds since 1970.
    package var at: Double
    package var run: String
    package var kind: Kind

    package init(at: Double, run: String, kind: Kind) {
        self.at = at
        self.run = run
        self.kind = kind
    }

    package enum Kind: Sendable {
        case runStarted(RunHeader)
        case stageStarted(phase: Phase, host: String?, title: String)
        case stepStarted(PlannedStep, attempt: Int)
        /// A line of news from a running step.
        case stepProgress(PlannedStep, String)
        case stepFinished(PlannedStep, StepReport)
        /// A step's work is being taken back, or was.
        case undoStarted(PlannedStep)
        case undoFinished(PlannedStep, StepReport)
        /// A quorum proof, a warning, a signal received.
        case notice(Notice)
        case halted(HaltReport)
        case finished(RunSummary)
    }
}

package struct RunHeader: Sendable, Equatable {
    package var playbook: String
    package var inventory: String
    package var hosts: [String]
    package var stepCount: Int
    /// Steps that an earlier part of this run has done.
    package var stepsDone: Int
    package var isResumed: Bool

    package init(
        playbook: String,
        inventory: String,
        hosts: [String],
        stepCount: Int,
        stepsDone: Int,
        isResumed: Bool
    ) {
        self.playbook = playbook
        self.inventory = inventory
        self.hosts = hosts
        self.stepCount = stepCount
        self.stepsDone = stepsDone
        self.isResumed = isResumed
    }
}

/// How a step, or the undoing of one, ended.
package struct StepReport: Sendable, Equatable {
    package enum Status: String, Sendable, Codable {
        case done
        /// Found to be done already, by evidence on the node.
        case skipped
        case failed
        case inDoubt = "in_doubt"
    }

    package var status: Status
    package var message: String
    package var remedy: String?
    package var values: [String: String]
    package var elapsedSeconds: Double

    package init(
        status: Status,
        message: String,
        remedy: String? = nil,
        values: [String: String] = [:],
        elapsedSeconds: Double
    ) {
        self.status = status
        self.message = message
        self.remedy = remedy
        self.values = values
        self.elapsedSeconds = elapsedSeconds
    }
}

package struct Notice: Sendable, Equatable {
    package enum Level: String, Sendable {
        case info
        case warning
    }

    package var level: Level
    package var host: String?
    package var text: String

    package init(_ level: Level, host: String? = nil, _ text: String) {
        self.level = level
        self.host = host
        self.text = text
    }
}

/// The one screen that a halted run ends with (design: which member is in which state, why, what now).
package struct HaltReport: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var host: String
        /// A word: `v2`, `migrated`, `stopped`, `in doubt`, `unreachable`.
        package var state: String
        package var detail: String

        package init(host: String, state: String, detail: String) {
            self.host = host
            self.state = state
            self.detail = detail
        }
    }

    /// One of `halted`, `refused`, `interrupted`, `drift`.
    package var verdict: String
    package var reason: String
    package var remedy: String?
    package var host: String?
    package var step: String?
    package var members: [Member]
    /// Commands to copy, with what each does: ("pawl resume …", "goes on where it stopped").
    package var nextCommands: [NextCommand]
    package var exitCode: Int32

    package struct NextCommand: Sendable, Equatable {
        package var command: String
        package var purpose: String

        package init(_ command: String, _ purpose: String) {
            self.command = command
            self.purpose = purpose
        }
    }

    package init(
        verdict: String,
        reason: String,
        remedy: String?,
        host: String?,
        step: String?,
        members: [Member],
        nextCommands: [NextCommand],
        exitCode: Int32
    ) {
        self.verdict = verdict
        self.reason = reason
        self.remedy = remedy
        self.host = host
        self.step = step
        self.members = members
        self.nextCommands = nextCommands
        self.exitCode = exitCode
    }
}

/// The last screen of a run that did all its work.
package struct RunSummary: Sendable, Equatable {
    package struct Member: Sendable, Equatable {
        package var host: String
        package var keys: Int?
        package var revision: Int?
        package var hash: String?
        /// How long the member did not serve, from the order to stop to its first healthy answer.
        package var unavailableSeconds: Double?
        package var backupPath: String?

        package init(
            host: String,
            keys: Int? = nil,
            revision: Int? = nil,
            hash: String? = nil,
            unavailableSeconds: Double? = nil,
            backupPath: String? = nil
        ) {
            self.host = host
            self.keys = keys
            self.revision = revision
            self.hash = hash
            self.unavailableSeconds = unavailableSeconds
            self.backupPath = backupPath
        }
    }

    package var playbook: String
    package var members: [Member]
    package var elapsedSeconds: Double
    /// What was proven at the end, one line each.
    package var proofs: [String]

    package init(playbook: String, members: [Member], elapsedSeconds: Double, proofs: [String]) {
        self.playbook = playbook
        self.members = members
        self.elapsedSeconds = elapsedSeconds
        self.proofs = proofs
    }
}

/// Where the events of a run go.
///
/// Called in order, from one task at a time.
package protocol RunObserver: Sendable {
    func receive(_ event: RunEvent) async
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How far a run is.
package enum RunState: String, Sendable, Codable, CaseIterable {
    /// A controller works on it, or was killed while it did.
    case running
    /// Stopped by itself at a doubt; at least one node was changed.
    case halted
    /// Preflight said no; nothing was changed.
    case refused
    /// Stopped by a signal, at a safe point.
    case interrupted
    case done
    /// Given up by the operator for another run.
    case abandoned
    /// What it changed was taken back by a later run.
    case rolledBack = "rolled back"

    /// Whether there is nothing to go on with.
    package var isEnded: Bool {
        switch self {
        case .running, .halted, .interrupted: false
        case .refused, .done, .abandoned, .rolledBack: true
        }
    }
}

/// One execution of a playbook over an inventory.
package struct RunRecord: Hashable, Sendable, Codable {
    package var id: String
    package var createdAt: Date
    package var playbookPath: String
    package var inventoryPaths: [String]
    /// `--limit`, where it was given.
    package var limit: String?
    /// A JSON object; the caller has taken secrets out.
    package var extraVariablesJSON: String
    /// The whole plan, as JSON.
    package var planJSON: String
    package var planDigest: String
    package var state: RunState
    package var exitCode: Int32?
    package var endedAt: Date?
    /// The machine and process that drive the run, or did so last.
    package var controllerHost: String
    package var controllerPID: Int32
    /// The version of pawl that drives the run, or did so last.
    package var version: String

    package init(
        id: String,
        createdAt: Date,
        playbookPath: String,
        inventoryPaths: [String],
        limit: String? = nil,
        extraVariablesJSON: String = "{}",
        planJSON: String,
        planDigest: String,
        state: RunState = .running,
        exitCode: Int32? = nil,
        endedAt: Date? = nil,
        controllerHost: String,
        controllerPID: Int32,
        version: String
    ) {
        self.id = id
        self.createdAt = createdAt
        self.playbookPath = playbookPath
        self.inventoryPaths = inventoryPaths
        self.limit = limit
        self.extraVariablesJSON = extraVariablesJSON
        self.planJSON = planJSON
        self.planDigest = planDigest
        self.state = state
        self.exitCode = exitCode
        self.endedAt = endedAt
        self.controllerHost = controllerHost
        self.controllerPID = controllerPID
        self.version = version
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Rollout

/// A run as the journal has it.
extension RunController {
    func extraVariablesJSON(_ request: RunRequest) throws -> String {
        var arguments = ["arguments": request.extraVariables]
        if !request.inventory.vaultIDs.isEmpty { arguments["vault_ids"] = request.inventory.vaultIDs }
        if let file = request.inventory.ansibleConfiguration { arguments["ansible_configuration"] = [file] }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(arguments), as: UTF8.self)
    }

    func record(_ run: String, _ plan: Plan, _ request: RunRequest) throws -> RunRecord {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return RunRecord(
            id: run,
            createdAt: Date(),
            playbookPath: request.playbook,
            inventoryPaths: request.inventory.paths,
            limit: request.limit,
            extraVariablesJSON: try extraVariablesJSON(request),
            planJSON: String(decoding: try encoder.encode(plan), as: UTF8.self),
            planDigest: try plan.digest(),
            state: .running,
            exitCode: nil,
            endedAt: nil,
            controllerHost: ProcessInfo.processInfo.hostName,
            controllerPID: ProcessInfo.processInfo.processIdentifier,
            version: version
        )
    }
}

extension Plan {
    /// SHA-256 of the plan; a plan file and a journal name the plan by it.
    package func digest() throws -> String { try Digest.sha256(json: self) }
}

extension RunRecord {
    /// Whether it may still be gone on with or taken back step by step, so that its backups are needed.
    var isOpen: Bool { [.running, .halted, .interrupted].contains(state) }
}

extension RunState {
    init(_ verdict: Verdict) {
        self =
            switch verdict {
            case .done: .done
            case .refused: .refused
            case .halted, .drifted: .halted
            case .interrupted: .interrupted
            }
    }
}

extension RunRequest {
    init(_ record: RunRecord) throws {
        let extra = try JSONDecoder().decode([String: [String]].self, from: Data(record.extraVariablesJSON.utf8))
        self.init(
            playbook: record.playbookPath,
            inventory: InventorySources(
                record.inventoryPaths,
                vaultIDs: extra["vault_ids"] ?? [],
                ansibleConfiguration: extra["ansible_configuration"]?.first
            ),
            limit: record.limit,
            extraVariables: extra["arguments"] ?? []
        )
    }
}

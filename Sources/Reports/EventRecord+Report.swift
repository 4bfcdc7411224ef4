// SPDX-License-Identifier: Apache-2.0

import Engine

extension EventRecord {
    /// What stands under `report` at the end of a run.
    enum Report: Codable, Equatable, Sendable {
        case halted(HaltRecord)
        case finished(SummaryRecord)

        init(from decoder: any Decoder) throws {
            // Only a halt has a verdict.
            let keys = try decoder.container(keyedBy: HaltRecord.CodingKeys.self)
            self =
                keys.contains(.verdict)
                ? .halted(try HaltRecord(from: decoder)) : .finished(try SummaryRecord(from: decoder))
        }

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .halted(let record): try record.encode(to: encoder)
            case .finished(let record): try record.encode(to: encoder)
            }
        }
    }

    /// A ``HaltReport`` in JSON.
    struct HaltRecord: Codable, Equatable, Sendable {
        var verdict: String
        var reason: String
        var remedy: String?
        var host: String?
        var step: String?
        var members: [Member]
        var nextCommands: [NextCommand]
        var exitCode: Int32

        struct Member: Codable, Equatable, Sendable {
            var host: String
            var state: String
            var detail: String

            enum CodingKeys: String, CodingKey, CaseIterable {
                case host, state, detail
            }
        }

        struct NextCommand: Codable, Equatable, Sendable {
            var command: String
            var purpose: String

            enum CodingKeys: String, CodingKey, CaseIterable {
                case command, purpose
            }
        }

        enum CodingKeys: String, CodingKey, CaseIterable {
            case verdict, reason, remedy, host, step, members
            case nextCommands = "next_commands"
            case exitCode = "exit_code"
        }

        init(_ report: HaltReport) {
            verdict = report.verdict
            reason = report.reason
            remedy = report.remedy
            host = report.host
            step = report.step
            members = report.members.map { Member(host: $0.host, state: $0.state, detail: $0.detail) }
            nextCommands = report.nextCommands.map { NextCommand(command: $0.command, purpose: $0.purpose) }
            exitCode = report.exitCode
        }
    }

    /// A ``RunSummary`` in JSON.
    struct SummaryRecord: Codable, Equatable, Sendable {
        var playbook: String
        var members: [Member]
        var elapsedSeconds: Double
        var proofs: [String]

        struct Member: Codable, Equatable, Sendable {
            var host: String
            var keys: Int?
            var revision: Int?
            var hash: String?
            var unavailableSeconds: Double?
            var backupPath: String?

            enum CodingKeys: String, CodingKey, CaseIterable {
                case host, keys, revision, hash
                case unavailableSeconds = "unavailable_seconds"
                case backupPath = "backup_path"
            }
        }

        enum CodingKeys: String, CodingKey, CaseIterable {
            case playbook, members, proofs
            case elapsedSeconds = "elapsed_seconds"
        }

        init(_ summary: RunSummary) {
            playbook = summary.playbook
            members = summary.members.map { member in
                Member(
                    host: member.host,
                    keys: member.keys,
                    revision: member.revision,
                    hash: member.hash,
                    unavailableSeconds: member.unavailableSeconds.map(ReportTime.milliseconds),
                    backupPath: member.backupPath
                )
            }
            elapsedSeconds = ReportTime.milliseconds(summary.elapsedSeconds)
            proofs = summary.proofs
        }
    }
}

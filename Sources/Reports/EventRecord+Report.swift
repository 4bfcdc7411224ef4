// SPDX-License-Identifier: Apache-2.0

import Engine

extension EventRecord {
    /// What stands under `report` at the end of a run.
    package enum Report: Codable, Equatable, Sendable {
        case halted(HaltRecord)
        case finished(SummaryRecord)

        package init(from decoder: any Decoder) throws {
            // Only a halt has a verdict.
            let keys = try decoder.container(keyedBy: HaltRecord.CodingKeys.self)
            self =
                keys.contains(.verdict)
                ? .halted(try HaltRecord(from: decoder)) : .finished(try SummaryRecord(from: decoder))
        }

        package func encode(to encoder: any Encoder) throws {
            switch self {
            case .halted(let record): try record.encode(to: encoder)
            case .finished(let record): try record.encode(to: encoder)
            }
        }
    }

    /// A ``HaltReport`` in JSON.
    package struct HaltRecord: Codable, Equatable, Sendable {
        package var verdict: String
        package var reason: String
        package var remedy: String?
        package var host: String?
        package var step: String?
        package var members: [Member]
        package var nextCommands: [NextCommand]
        package var exitCode: Int32

        package struct Member: Codable, Equatable, Sendable {
            package var host: String
            package var state: String
            package var detail: String

            enum CodingKeys: String, CodingKey, CaseIterable {
                case host, state, detail
            }
        }

        package struct NextCommand: Codable, Equatable, Sendable {
            package var command: String
            package var purpose: String

            enum CodingKeys: String, CodingKey, CaseIterable {
                case command, purpose
            }
        }

        enum CodingKeys: String, CodingKey, CaseIterable {
            case verdict, reason, remedy, host, step, members
            case nextCommands = "next_commands"
            case exitCode = "exit_code"
        }

        package init(_ report: HaltReport) {
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
    package struct SummaryRecord: Codable, Equatable, Sendable {
        package var playbook: String
        package var members: [Member]
        package var elapsedSeconds: Double
        package var proofs: [String]

        package struct Member: Codable, Equatable, Sendable {
            package var host: String
            package var keys: Int?
            package var revision: Int?
            package var hash: String?
            package var unavailableSeconds: Double?
            package var backupPath: String?

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

        package init(_ summary: RunSummary) {
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

// SPDX-License-Identifier: Apache-2.0

import Engine
import Etcd
import Foundation
import Reports

/// A rehearsal as a table with words below it, and as JSON.
enum RehearsalScreen {
    static func text(_ report: RehearsalReport, width: Int?) -> String {
        let table = Table(
            columns: [
                .init("host"), .init("etcd"), .init("keys", .right), .init("revision", .right), .init("checksum"),
                .init("wal + snap", .right), .init("db", .right), .init("copy", .right), .init("migrate", .right),
                .init("out, prepared", .right), .init("out, in place", .right),
            ],
            rows: report.members.map(row)
        )
        var lines = [table.render(width: width), ""]
        for member in report.members {
            if let transformer = member.transformer, let transformed = member.outcome.transformed {
                lines.append(
                    "\(member.host): \(transformer) made \(transformed.records) records of \(transformed.keys) keys"
                )
            }
            lines += member.outcome.remarks.map { "\(member.host): \($0)" }
        }
        if report.isEqual == true {
            lines.append("the migrated copies are equal as of raft index \(report.index)")
        }
        if report.writersAreActive {
            lines.append(
                "writers are active: \(report.entriesMeanwhile) entries were logged since; stop them before a run"
            )
        }
        lines += report.problems.map { "- \($0)" }
        lines.append(
            report.isClean ? "a run would migrate everything" : "a run would be refused, or lose what is named above"
        )
        return lines.joined(separator: "\n") + "\n"
    }

    private static func row(_ member: RehearsalReport.Member) -> [String] {
        let outcome = member.outcome
        guard !outcome.hash.isEmpty else {
            return [member.host, member.version ?? "-"] + Array(repeating: "-", count: 9)
        }
        func size(_ kilobytes: Int) -> String { Int64(kilobytes * 1024).formatted(.byteCount(style: .binary)) }
        func seconds(_ value: Double?) -> String { value.map { String(format: "%.1f s", $0) } ?? "-" }
        return [
            member.host, member.version ?? "-", String(outcome.keys), String(outcome.revision), outcome.hash,
            size(outcome.sizes.wal + outcome.sizes.snapshots), size(outcome.sizes.migratedDatabase),
            seconds(outcome.times.copy), seconds(outcome.times.migrate), seconds(member.prediction?.prepared),
            seconds(member.prediction?.inPlace),
        ]
    }

    static func line(_ report: RehearsalReport) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(report), as: UTF8.self) + "\n"
    }
}

// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Reports

/// What became of one of several clusters.
struct ClusterEnding: Sendable, Codable {
    var group: String
    /// The run's id; `nil` where none was begun.
    var run: String?
    /// `done`, `halted`, `refused`, `interrupted`, `drift`, `locked`, `failed` or `not begun`.
    var result: String
    /// `nil` where it was not begun.
    var exitCode: Int32?
    /// What to do now; `nil` where nothing is.
    var nextCommand: String?

    init(group: String, result: String, exitCode: Int32?, nextCommand: String? = nil) {
        self.group = group
        self.result = result
        self.exitCode = exitCode
        self.nextCommand = nextCommand
    }

    /// From the worst to the best: what nobody expected, changed nodes, other inputs, a lock, a refusal, a safe point.
    private static let order: [Int32] = [1, 3, 6, 5, 4, 64, 65, 130, 0]

    /// What ended well, or may have changed a node before it ended.
    private static let changing: Set<Int32> = [0, 3, 130]

    static func worst(_ endings: [ClusterEnding]) -> Int32 {
        let codes = endings.compactMap(\.exitCode)
        // Where a signal came before the first was begun, none has a code.
        guard !codes.isEmpty else { return ExitReason.interrupted.rawValue }
        let worst = codes.min { (order.firstIndex(of: $0) ?? 0) < (order.firstIndex(of: $1) ?? 0) } ?? 0
        // Refused is what changed nothing.
        if worst == ExitReason.refused.rawValue, !changing.isDisjoint(with: codes) { return ExitReason.halted.rawValue }
        // Only a signal leaves clusters out while all others are done.
        return worst == 0 && codes.count < endings.count ? ExitReason.interrupted.rawValue : worst
    }

    static func table(_ endings: [ClusterEnding]) -> Table {
        Table(
            columns: [.init("group"), .init("run"), .init("result"), .init("exit"), .init("next", flexible: false)],
            rows: endings.map { ending in
                [
                    ending.group, ending.run ?? "-", ending.result, ending.exitCode.map(String.init) ?? "-",
                    ending.nextCommand ?? "-",
                ]
            }
        )
    }

    /// The last line of `--each --format json`, as docs/reference/events.md says.
    static func line(_ endings: [ClusterEnding]) throws -> String {
        struct Line: Encodable {
            var event = "clusters_finished"
            var at: String
            var exitCode: Int32
            var clusters: [ClusterEnding]
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let now = Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        let line = Line(at: now, exitCode: worst(endings), clusters: endings)
        return String(decoding: try encoder.encode(line), as: UTF8.self) + "\n"
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of `--format json`, as far as tests ask for it; docs/reference/events.md says what each key means.
package struct EventLine: Decodable, Sendable {
    package struct Report: Decodable, Sendable {
        package struct Member: Decodable, Sendable {
            package var host: String
            package var state: String?
            package var detail: String?
            package var keys: Int?
            package var hash: String?
            package var backupPath: String?
        }

        package struct NextCommand: Decodable, Sendable {
            package var command: String
        }

        package var exitCode: Int?
        package var verdict: String?
        package var reason: String?
        package var remedy: String?
        package var host: String?
        package var step: String?
        package var members: [Member]
        package var nextCommands: [NextCommand]?
    }

    package var event: String
    package var at: String
    package var run: String
    package var phase: String?
    package var host: String?
    package var step: String?
    package var name: String?
    package var action: String?
    package var status: String?
    package var message: String?
    package var report: Report?

    /// When it happened, in seconds of some day; runs over midnight are not measured.
    package var second: Double {
        let clock = at.split(separator: "T").last?.dropLast() ?? ""
        return clock.split(separator: ":").reduce(0) { $0 * 60 + (Double($1) ?? 0) }
    }

    /// All whole lines of a text; a line that is no event is an error.
    ///
    /// What stands behind the last line break is still being written, or was cut by the death of its writer.
    package static func all(in text: String) throws -> [EventLine] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .map { try decoder.decode(EventLine.self, from: Data($0.utf8)) }
    }

    /// Whether this is the beginning of an action on a host.
    package func starts(_ action: String, on host: String? = nil) -> Bool {
        event == "step_started" && self.action == action && (host == nil || self.host == host)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of `--format json`, as far as the tests ask for it; docs/reference/events.md says what each key means.
struct EventLine: Decodable, Sendable {
    struct Report: Decodable, Sendable {
        struct Member: Decodable, Sendable {
            var host: String
            var state: String?
            var detail: String?
            var keys: Int?
            var hash: String?
            var backupPath: String?
        }

        struct NextCommand: Decodable, Sendable {
            var command: String
        }

        var exitCode: Int?
        var verdict: String?
        var reason: String?
        var remedy: String?
        var host: String?
        var step: String?
        var members: [Member]
        var nextCommands: [NextCommand]?
    }

    var event: String
    var run: String
    var phase: String?
    var host: String?
    var step: String?
    var action: String?
    var status: String?
    var message: String?
    var report: Report?

    /// All whole lines of a text; a line that is no event is an error.
    static func all(in text: String) throws -> [EventLine] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        // What stands behind the last line break is a line that is still being written.
        return try text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .map { try decoder.decode(EventLine.self, from: Data($0.utf8)) }
    }

    /// Whether this is the beginning of an action on a host.
    func starts(_ action: String, on host: String? = nil) -> Bool {
        event == "step_started" && self.action == action && (host == nil || self.host == host)
    }
}

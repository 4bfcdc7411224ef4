// SPDX-License-Identifier: Apache-2.0

import Foundation

/// One line of `--format json`, as far as the matrix asks for it; docs/reference/events.md says what each key means.
struct ControllerEvent: Decodable, Sendable {
    struct Report: Decodable, Sendable {
        struct NextCommand: Decodable, Sendable {
            var command: String
        }

        var reason: String?
        var remedy: String?
        var host: String?
        var step: String?
        var nextCommands: [NextCommand]?
    }

    var event: String
    var at: String
    var run: String
    var phase: String?
    var host: String?
    var step: String?
    var name: String?
    var action: String?
    var status: String?
    var message: String?
    var report: Report?

    /// When it happened, in seconds of some day; runs over midnight are not measured.
    var second: Double {
        let clock = at.split(separator: "T").last?.dropLast() ?? ""
        return clock.split(separator: ":").reduce(0) { $0 * 60 + (Double($1) ?? 0) }
    }

    /// All whole lines of a text.
    ///
    /// A line that was cut by the death of its writer is left out.
    static func all(in text: String) -> [ControllerEvent] {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            .compactMap { try? decoder.decode(ControllerEvent.self, from: Data($0.utf8)) }
    }
}

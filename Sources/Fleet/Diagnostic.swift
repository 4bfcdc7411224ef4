// SPDX-License-Identifier: Apache-2.0

/// One thing that is wrong with a user's input, with its place and what to do about it.
package struct Diagnostic: Hashable, Sendable, CustomStringConvertible {
    package enum Severity: String, Sendable, Codable {
        case error
        case warning
    }

    package var severity: Severity
    /// Where it stands; `nil` for input without a file, as `-e` on the command line.
    package var location: SourceLocation?
    /// What is wrong, in one line without a full stop.
    package var summary: String
    /// What to do now, in one line; `nil` where the summary says it.
    package var remedy: String?

    package init(
        _ severity: Severity = .error,
        at location: SourceLocation?,
        _ summary: String,
        remedy: String? = nil
    ) {
        self.severity = severity
        self.location = location
        self.summary = summary
        self.remedy = remedy
    }

    /// `file:line:column: error: summary (remedy)`, the form that editors and CI annotate.
    package var description: String {
        let place = location.map { "\($0): " } ?? ""
        let hint = remedy.map { " (\($0))" } ?? ""
        return "\(place)\(severity.rawValue): \(summary)\(hint)"
    }
}

/// Everything that is wrong with the user's input, reported at once.
package struct DiagnosticsError: Error, Sendable, CustomStringConvertible {
    package var diagnostics: [Diagnostic]

    package init(_ diagnostics: [Diagnostic]) {
        self.diagnostics = diagnostics
    }

    package var description: String {
        diagnostics.map(\.description).joined(separator: "\n")
    }
}

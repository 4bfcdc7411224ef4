// SPDX-License-Identifier: Apache-2.0

/// One thing that preflight found.
package struct EtcdFinding: Sendable, Hashable, CustomStringConvertible {
    package enum Severity: Int, Sendable, Comparable {
        case refusal
        case warning

        package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
    }

    package var severity: Severity
    /// `nil` for what concerns the cluster.
    package var host: String?
    package var what: String
    package var why: String?
    package var remedy: String?

    package init(
        _ severity: Severity,
        host: String? = nil,
        _ what: String,
        why: String? = nil,
        remedy: String? = nil
    ) {
        self.severity = severity
        self.host = host
        self.what = what
        self.why = why
        self.remedy = remedy
    }

    package var description: String {
        (host.map { "\($0): " } ?? "") + what + (why.map { ": \($0)" } ?? "") + (remedy.map { "; \($0)" } ?? "")
    }
}

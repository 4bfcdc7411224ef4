// SPDX-License-Identifier: Apache-2.0

/// One thing that preflight found.
struct EtcdFinding: Sendable, Hashable, CustomStringConvertible {
    enum Severity: Int, Sendable, Comparable {
        case refusal
        case warning
        /// Somebody said in the playbook that it may be so.
        case allowed

        var word: String {
            switch self {
            case .refusal: "refused"
            case .warning: "warning"
            case .allowed: "allowed by policy"
            }
        }

        static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }
    }

    let check: PreflightCheck
    /// By the policy of the check.
    private(set) var severity: Severity
    /// `nil` for what concerns the cluster.
    var host: String?
    var what: String
    var why: String?
    var remedy: String?
    /// The finding is no reason to refuse, whatever its check's policy: it is not sure, or does no harm here.
    let isMinor: Bool
    /// The finding refuses, whatever its check's policy: what the policy asks for cannot be done.
    let isFixed: Bool

    init(
        _ check: PreflightCheck,
        host: String? = nil,
        _ what: String,
        why: String? = nil,
        remedy: String? = nil,
        isMinor: Bool = false,
        isFixed: Bool = false
    ) {
        self.check = check
        self.host = host
        self.what = what
        self.why = why
        self.remedy = remedy
        self.isMinor = isMinor
        self.isFixed = isFixed
        severity = .refusal
        judge(by: check.rule.policy)
    }

    mutating func judge(by policy: PreflightCheck.Policy) {
        if isFixed { return }
        severity = isMinor ? max(policy.severity, .warning) : policy.severity
    }

    /// What, why, what to do, and in brackets the word with which a playbook decides about it, or the check's name
    /// where it is always refused.
    var description: String {
        let word = check.rule.necessity == nil ? check.parameter : check.name
        return (host.map { "\($0): " } ?? "") + what + (why.map { ": \($0)" } ?? "")
            + (remedy.map { "; \($0)" } ?? "") + " [\(word)]"
    }

    /// Worst first; within a severity by check, and then as they were found.
    static func worstFirst(_ findings: [EtcdFinding]) -> [EtcdFinding] {
        let ranks = Dictionary(
            PreflightCheck.allCases.enumerated().map { ($1, $0) },
            uniquingKeysWith: { first, _ in first }
        )
        return findings.enumerated()
            .sorted { left, right in
                (left.element.severity.rawValue, ranks[left.element.check] ?? 0, left.offset)
                    < (right.element.severity.rawValue, ranks[right.element.check] ?? 0, right.offset)
            }
            .map(\.element)
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Colours of a report, or none.
///
/// The caller decides; ``TerminalTraits`` knows the customs.
package struct ReportStyle: Sendable, Equatable {
    /// What a piece of text means to its reader.
    package enum Role: Sendable, Equatable {
        case ok
        case failure
        case warning
        case doubt
        case dim
        case strong
    }

    /// Whether roles have colours at all.
    package var isColored: Bool

    /// Text without colours.
    package static let plain = ReportStyle(isColored: false)
    /// Text in the colours of its roles.
    package static let colored = ReportStyle(isColored: true)

    package init(isColored: Bool) {
        self.isColored = isColored
    }

    /// The text in the colour of its role; as it is where there are no colours, no role or no text.
    package func paint(_ text: String, _ role: Role?) -> String {
        guard isColored, let role, !text.isEmpty else { return text }
        return "\u{1B}[\(code(role))m\(text)\u{1B}[0m"
    }

    /// SGR codes of the eight basic colours, which every terminal theme keeps readable.
    private func code(_ role: Role) -> String {
        switch role {
        case .ok: "32"
        case .failure: "31"
        case .warning: "33"
        case .doubt: "35"
        case .dim: "2"
        case .strong: "1"
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

/// What may be shown on an output, by the customs of terminals.
package struct TerminalTraits: Sendable, Equatable {
    package var isTerminal: Bool
    /// `TERM`, `NO_COLOR` and the like.
    package var environment: [String: String]

    package init(isTerminal: Bool, environment: [String: String]) {
        self.isTerminal = isTerminal
        self.environment = environment
    }

    /// The traits of an open file descriptor of this process.
    package static func of(descriptor: Int32) -> TerminalTraits {
        TerminalTraits(isTerminal: isatty(descriptor) == 1, environment: ProcessInfo.processInfo.environment)
    }

    /// Whether the cursor can be moved; otherwise ``PlainView`` is the view to use.
    package var allowsLiveView: Bool {
        guard isTerminal, let terminal = environment["TERM"] else { return false }
        return !terminal.isEmpty && terminal != "dumb"
    }

    /// No colours outside a terminal, and none where `NO_COLOR` has a value (https://no-color.org).
    package var style: ReportStyle {
        ReportStyle(isColored: allowsLiveView && (environment["NO_COLOR"] ?? "").isEmpty)
    }
}

/// The size of a terminal at a moment.
package struct TerminalSize: Sendable, Equatable {
    package var columns: Int
    package var rows: Int

    package init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }

    /// What is used where a terminal does not say: the size of a VT100.
    package static let standard = TerminalSize(columns: 80, rows: 24)

    /// Asks the kernel; `nil` where the descriptor is no terminal or the terminal has no size.
    package static func of(descriptor: Int32) -> TerminalSize? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return nil }
        return TerminalSize(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Reports
import SSH

/// What the program is connected to.
enum Terminal {
    /// Whether people see stdout as it is written, and can be asked on stdin.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 }

    static var traits: TerminalTraits { .of(descriptor: STDOUT_FILENO) }

    static var size: TerminalSize? { .of(descriptor: STDOUT_FILENO) }

    /// Columns of the terminal; `nil` when stdout is none.
    static var width: Int? { size?.columns }

    /// How far a command over many hosts is, told on stderr.
    ///
    /// Where objects go to the same terminal meanwhile, it is not drawn between them.
    static func progress(over hosts: Int, beside format: OutputOptions.Format) -> FleetProgress {
        let isShared = format == .json && isatty(STDOUT_FILENO) == 1
        let waiter = try? LoopWaiter(SSHEventLoopGroup.shared.get())
        return FleetProgress(
            total: hosts,
            isLive: !isShared && TerminalTraits.of(descriptor: STDERR_FILENO).allowsLiveView,
            .init(
                sink: { StandardStream.errors.write($0) },
                size: { TerminalSize.of(descriptor: STDERR_FILENO) },
                wait: { duration in
                    guard let waiter else { throw CancellationError() }
                    try await waiter.sleep(for: duration)
                }
            )
        )
    }

    /// Writes to stdout at once.
    @Sendable static func write(_ text: String) {
        StandardStream.output.write(text)
    }
}

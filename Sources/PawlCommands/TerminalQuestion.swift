// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

/// A question whose answer nobody sees, at the terminal of the process.
///
/// It goes by `/dev/tty`, so that standard input and output may be elsewhere.
enum TerminalQuestion {
    /// Asks once.
    ///
    /// - Parameter question: the words in front of the answer.
    /// - Returns: the line that was typed.
    /// - Throws: `DiagnosticsError` where there is no terminal, or no answer.
    static func ask(_ question: String) throws(DiagnosticsError) -> Secret {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else {
            throw refused(
                "`\(question.trimmingCharacters(in: .whitespaces))` cannot be asked: there is no terminal",
                "give it by a file or the environment (docs/reference/connections.md, Ways in)"
            )
        }
        defer { close(terminal) }
        let typed = try withoutEcho(terminal) { readLine(terminal, after: question) }
        // The terminal is as it was again, so that Ctrl-C does what it does elsewhere.
        if typed == "\u{3}" { raise(SIGINT) }
        guard let typed, typed != "\u{3}" else {
            throw refused("`\(question.trimmingCharacters(in: .whitespaces))` was not answered", "nothing was begun")
        }
        guard !typed.isEmpty else {
            throw refused("the answer to `\(question.trimmingCharacters(in: .whitespaces))` is empty", "type it again")
        }
        return Secret(typed)
    }

    /// Signals are off, too, so that no Ctrl-C leaves a terminal behind that shows nothing: it arrives as a character.
    private static func withoutEcho<T>(_ terminal: Int32, _ body: () -> T) throws(DiagnosticsError) -> T {
        var before = termios()
        guard tcgetattr(terminal, &before) == 0 else {
            throw refused("the terminal cannot be asked: \(String(cString: strerror(errno)))", "give it by a file")
        }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO | ISIG)
        guard tcsetattr(terminal, TCSAFLUSH, &silent) == 0 else {
            throw refused("the terminal cannot be asked: \(String(cString: strerror(errno)))", "give it by a file")
        }
        defer { _ = tcsetattr(terminal, TCSAFLUSH, &before) }
        return body()
    }

    private static func readLine(_ terminal: Int32, after question: String) -> String? {
        say(question, on: terminal)
        defer { say("\n", on: terminal) }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(terminal, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return line.isEmpty ? nil : String(validating: line, as: UTF8.self) }
            if byte == UInt8(ascii: "\n") { return String(validating: line, as: UTF8.self) }
            line.append(byte)
            if byte == 3 { return "\u{3}" }
        }
    }

    private static func say(_ text: String, on terminal: Int32) {
        let bytes = Array(text.utf8)
        _ = write(terminal, bytes, bytes.count)
    }

    private static func refused(_ summary: String, _ remedy: String) -> DiagnosticsError {
        DiagnosticsError([Diagnostic(at: nil, summary, remedy: remedy)])
    }
}

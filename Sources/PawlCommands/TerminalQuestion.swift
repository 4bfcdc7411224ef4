// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

/// A question whose answer nobody sees, at the terminal of the process.
///
/// It goes by `/dev/tty`, so that standard input and output may be elsewhere.
enum TerminalQuestion {
    /// Asks once, for an answer that is not empty.
    static func ask(_ question: String) throws(DiagnosticsError) -> Secret { try ask(question, or: nil) }

    /// Asks once.
    ///
    /// - Parameters:
    ///   - question: the words in front of the answer.
    ///   - fallback: what an empty answer stands for; without it, one is refused.
    /// - Returns: the line that was typed.
    /// - Throws: `DiagnosticsError` where there is no terminal, or no answer.
    static func ask(_ question: String, or fallback: Secret?) throws(DiagnosticsError) -> Secret {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else {
            throw refused(
                "`\(question.trimmingCharacters(in: .whitespaces))` cannot be asked: there is no terminal",
                "give it by a file or the environment (docs/reference/connections.md, Ways in)"
            )
        }
        defer { close(terminal) }
        let typed: String
        switch try withoutEcho(terminal, { keys in readLine(terminal, after: question, keys) }) {
        case .line(let line): typed = line
        case .signal(let number):
            leave(by: number)
        case .end:
            throw refused("`\(question.trimmingCharacters(in: .whitespaces))` was not answered", "nothing was begun")
        }
        if typed.isEmpty {
            if let fallback { return fallback }
            throw refused("the answer to `\(question.trimmingCharacters(in: .whitespaces))` is empty", "type it again")
        }
        return Secret(typed)
    }

    /// How an answer ended.
    private enum Answer {
        case line(String)
        /// By the key of a signal.
        case signal(Int32)
        /// The terminal is gone, or what was typed is no text.
        case end
    }

    /// The keys that would send a signal.
    private struct SignalKeys {
        var interrupt: UInt8
        var quit: UInt8
    }

    /// Ends the process as the key does elsewhere; the terminal is as it was again.
    private static func leave(by number: Int32) -> Never {
        raise(number)
        // Only where the signal is ignored, as below nohup(1).
        exit(128 + number)
    }

    /// Signals are off, too, so that no Ctrl-C leaves a terminal behind that shows nothing.
    ///
    /// Their keys arrive as characters, and end a line as Return does, or they would wait for it (termios(3), VEOL).
    private static func withoutEcho<T>(_ terminal: Int32, _ body: (SignalKeys) -> T) throws(DiagnosticsError) -> T {
        var before = termios()
        guard tcgetattr(terminal, &before) == 0 else {
            throw refused("the terminal cannot be asked: \(String(cString: strerror(errno)))", "give it by a file")
        }
        var silent = before
        silent.c_lflag &= ~tcflag_t(ECHO | ISIG)
        silent.c_lflag |= tcflag_t(ICANON | IEXTEN)
        let keys = withUnsafeMutableBytes(of: &silent.c_cc) { characters in
            let keys = SignalKeys(interrupt: characters[Int(VINTR)], quit: characters[Int(VQUIT)])
            characters[Int(VEOL)] = keys.interrupt
            characters[Int(VEOL2)] = keys.quit
            return keys
        }
        guard tcsetattr(terminal, TCSAFLUSH, &silent) == 0 else {
            throw refused("the terminal cannot be asked: \(String(cString: strerror(errno)))", "give it by a file")
        }
        defer { _ = tcsetattr(terminal, TCSAFLUSH, &before) }
        return body(keys)
    }

    private static func readLine(_ terminal: Int32, after question: String, _ keys: SignalKeys) -> Answer {
        say(question, on: terminal)
        defer { say("\n", on: terminal) }
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while true {
            let count = read(terminal, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return line.isEmpty ? .end : answer(line) }
            switch byte {
            case UInt8(ascii: "\n"): return answer(line)
            // 0 stands for a key that is switched off.
            case keys.interrupt where byte != 0: return .signal(SIGINT)
            case keys.quit where byte != 0: return .signal(SIGQUIT)
            default: line.append(byte)
            }
        }
    }

    private static func answer(_ line: [UInt8]) -> Answer {
        String(validating: line, as: UTF8.self).map(Answer.line) ?? .end
    }

    private static func say(_ text: String, on terminal: Int32) {
        let bytes = Array(text.utf8)
        _ = write(terminal, bytes, bytes.count)
    }

    private static func refused(_ summary: String, _ remedy: String) -> DiagnosticsError {
        DiagnosticsError([Diagnostic(at: nil, summary, remedy: remedy)])
    }
}

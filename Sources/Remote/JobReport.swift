// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What a command about a job said, read from its marks.
///
/// A mark is a line of the byte 0x1e, the command's nonce, a blank and words. The job's own output stands between the
/// marks `out` and `ended` on standard output, and behind the mark `err` on standard error.
enum JobReport {
    case state(JobState)
    /// The node could not take the job, and nothing was begun.
    case refused(String)

    /// Reads a whole answer; `nil` when it is none.
    init?(_ result: CommandResult, nonce: String) {
        let output = result.standardOutput
        guard let last = Self.mark("", nonce, lastIn: output), let end = output[last...].firstIndex(of: 10) else {
            return nil
        }
        let text = String(decoding: output[last..<end].dropFirst(nonce.utf8.count + 2), as: UTF8.self)
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        let why = words.count == 2 ? words[1] : ""
        switch words.first {
        case "running": self = .state(.running)
        case "not-begun": self = .state(.notBegun(why))
        case "in-doubt": self = .state(.inDoubt(why))
        case "refused": self = .refused(why)
        case "ended":
            guard let state = Self.ended(why, result, nonce, endsAt: last) else { return nil }
            self = .state(state)
        default: return nil
        }
    }

    private static func ended(_ text: String, _ result: CommandResult, _ nonce: String, endsAt end: Int) -> JobState? {
        let words = text.split(separator: " ")
        guard words.count == 3, let code = Int(words[0]), let began = Double(words[1]), let ended = Double(words[2]),
            let out = mark("out\n", nonce, firstIn: result.standardOutput),
            let error = mark("err\n", nonce, firstIn: result.standardError)
        else { return nil }
        let output = result.standardOutput[(out + nonce.utf8.count + 6)..<end]
        let errorOutput = result.standardError[(error + nonce.utf8.count + 6)...]
        guard max(output.count, errorOutput.count) <= JobScript.longestOutput else {
            return .inDoubt("it ended with exit code \(code) and printed more than \(JobScript.longestOutput) bytes")
        }
        return .ended(
            CommandResult(
                exitCode: code,
                standardOutput: Array(output),
                standardError: Array(errorOutput),
                // The node's clock counts hundredths of a second; rounded up, so that a deadline that was reached shows.
                duration: .milliseconds(Int64((ended - began) * 1000) + 10)
            )
        )
    }

    private static func mark(_ word: String, _ nonce: String, firstIn bytes: [UInt8]) -> Int? {
        let mark = Array("\u{1e}\(nonce) \(word)".utf8)
        return bytes.indices.first { bytes[$0] == 0x1e && bytes[$0...].starts(with: mark) }
    }

    private static func mark(_ word: String, _ nonce: String, lastIn bytes: [UInt8]) -> Int? {
        let mark = Array("\u{1e}\(nonce) \(word)".utf8)
        return bytes.indices.last { bytes[$0] == 0x1e && bytes[$0...].starts(with: mark) }
    }
}

/// Takes the news of a running job out of what the command that follows it prints.
final class JobListener: Sendable {
    private struct Reading {
        var line: [UInt8] = []
        var isOver = false
    }

    /// A line of news is shorter.
    private static let longestLine = 2048

    private let mark: [UInt8]
    private let progress: @Sendable (String) -> Void
    private let reading = Mutex(Reading())

    init(nonce: String, _ progress: @escaping @Sendable (String) -> Void) {
        mark = Array("\u{1e}\(nonce) live ".utf8)
        self.progress = progress
    }

    func take(_ piece: [UInt8]) {
        for news in reading.withLock({ scan(piece, &$0) }) { progress(news) }
    }

    /// News comes before the job's whole output, so everything behind a line that is none is left unread.
    private func scan(_ piece: [UInt8], _ reading: inout Reading) -> [String] {
        var news: [String] = []
        for byte in piece where !reading.isOver {
            guard byte == 10 else {
                reading.line.append(byte)
                if reading.line.count > Self.longestLine { reading.isOver = true }
                continue
            }
            if reading.line.starts(with: mark) {
                let text = String(decoding: reading.line.dropFirst(mark.count), as: UTF8.self)
                let shown = text.trimmingPrefix { $0.isWhitespace }
                if !shown.isEmpty { news.append(String(shown)) }
            } else {
                reading.isOver = true
            }
            reading.line = []
        }
        return news
    }
}

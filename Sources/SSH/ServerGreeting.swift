// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a server says before its version: nothing, or lines of text (RFC 4253, 4.2), or something that is not SSH.
///
/// Read here and not by libssh2, which throws the lines away, takes any number of them without a pause, and does not tell
/// a server that hung up at once from any other failure. The version itself is left to it.
struct ServerGreeting {
    /// How far it has come.
    enum Progress: Equatable {
        case waiting
        /// The first bytes are those of a version, and stay where they are until its name is complete.
        case almostVersion
        /// The next byte is the first of the version.
        case version
    }

    /// As OpenSSH's client allows (`SSH_MAX_PRE_BANNER_LINES`, `SSH_MAX_BANNER_LEN`).
    private static let mostLines = 1024
    private static let longestLine = 8192
    private static let version = Array("SSH-".utf8)

    /// The complete lines so far.
    private var lines: [String] = []
    /// The beginning of a line that is not complete.
    private var part: [UInt8] = []

    private var words: String? {
        let all = lines + [String(decoding: part, as: UTF8.self)]
        let said = all.map { $0.filter { !$0.isNewline && $0.isASCII && ($0 >= " ") } }.filter { !$0.isEmpty }
        // The first says what it is, the last why it ended.
        let told = said.count > 3 ? [said[0], "…"] + said.suffix(2) : said
        return told.isEmpty ? nil : String(told.joined(separator: " / ").prefix(300))
    }

    /// Takes the lines that have come, and nothing from the version on.
    mutating func take(from descriptor: Int32) throws(SSHFailure) -> Progress {
        while true {
            var piece = [UInt8](repeating: 0, count: Self.longestLine)
            let count = recv(descriptor, &piece, piece.count, Int32(MSG_PEEK))
            guard count > 0 else {
                if count < 0, errno == EAGAIN || errno == EINTR { return .waiting }
                throw closed(by: count < 0 ? errno : 0)
            }
            let bytes = piece.prefix(count)
            if part.isEmpty {
                if isOld(bytes) { throw SSHFailure(kind: .notSSH, message: "it speaks version 1 of SSH only") }
                if bytes.starts(with: Self.version) { return .version }
                if Self.version.starts(with: bytes) { return .almostVersion }
            }
            let end = bytes.firstIndex(of: UInt8(ascii: "\n"))
            let taken = bytes[...(end ?? bytes.index(before: bytes.endIndex))]
            part += taken
            recv(descriptor, &piece, taken.count, 0)
            if lines.isEmpty, let protocolName { throw SSHFailure(kind: .notSSH, message: "it speaks \(protocolName)") }
            guard !part.contains(0), part.count < Self.longestLine else { throw notSSH("it sends binary data") }
            guard end != nil else { continue }
            lines.append(String(decoding: part, as: UTF8.self))
            part = []
            guard lines.count <= Self.mostLines else { throw notSSH("it sends lines without an end") }
        }
    }

    /// Whether it is a version before 2; `1.99` is that of a server that has both (RFC 4253, 5.1).
    private func isOld(_ bytes: ArraySlice<UInt8>) -> Bool {
        let start = String(decoding: bytes.prefix(8), as: UTF8.self)
        return start.count == 8 && start.hasPrefix("SSH-1.") && !start.hasPrefix("SSH-1.99")
    }

    /// What the first line begins, where that is known to be something else.
    ///
    /// A web server answers our version with a status line, or with a page alone where it takes us for HTTP/0.9; one
    /// behind TLS with an alert (RFC 8446, 5.1).
    private var protocolName: String? {
        let start = String(decoding: part.prefix(32), as: UTF8.self).lowercased()
        if ["http/", "<!doctype html", "<html"].contains(where: start.hasPrefix) { return "HTTP" }
        return part.starts(with: [0x15, 0x03]) ? "TLS" : nil
    }

    /// A server that hangs up with something of ours unread resets the connection, and ends it otherwise: chance alone.
    private func closed(by code: Int32) -> SSHFailure {
        let isEnd = [0, ECONNRESET, EPIPE].contains(code)
        let how = isEnd ? "the server closed the connection" : String(cString: strerror(code))
        return SSHFailure(kind: .noVersion, message: "\(how) before its SSH version\(said)")
    }

    private func notSSH(_ why: String) -> SSHFailure { SSHFailure(kind: .notSSH, message: "\(why)\(said)") }

    /// The words, as the end of a message; empty where there are none.
    var said: String { words.map { ", it said: \($0)" } ?? "" }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

@testable import SSH

/// What the shell text around a script does, on a real shell and without SSH.
@Suite("The frame around a script", .timeLimit(.minutes(1)))
struct CommandFrameTests {
    /// What the marks on both streams say, and the script's own bytes, when the request is run with this input.
    private func run(
        _ frame: CommandFrame,
        input: [UInt8],
        by loginShell: String = "sh"
    ) async throws -> (out: MarkParser, err: MarkParser, own: [UInt8]) {
        let script = ShellQuoting.line([loginShell, "-c", frame.request])
        let result = try await LocalHost(name: "frame").run(
            RemoteCommand("frame", script: script, standardInput: input, effect: .readOnly)
        )
        var (out, err, own) = (MarkParser(mark: frame.mark), MarkParser(mark: frame.mark), [UInt8]())
        result.standardOutput.withUnsafeBytes { out.feed($0) { own += $0 } }
        result.standardError.withUnsafeBytes { err.feed($0) { _ in } }
        return (out, err, own)
    }

    private static let long = "#" + String(repeating: "ä", count: 40_000) + "\nmkdir \"$BEGUN\"; cat; exit 7\n"

    private static let loginShells = ["sh", "bash", "dash", "zsh", "ksh", "tcsh", "csh", "fish", "busybox sh"].filter {
        FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)")
            || FileManager.default.isExecutableFile(atPath: "/bin/\($0)")
    }

    @Test(arguments: loginShells)
    func `whatever the login shell is, the script gets through as it is, and its end is told`(
        shell: String
    ) async throws {
        let odd = #"it's a "$HOME" `id` \\ \' \! !! !x * ; & | ü € \t \0101 %s %b ~ ^ # {a,b} [c] ?"# + "\t\u{7f}"
        let script = "cat <<'END'\n\(odd)\nEND\nprintf '%s\\n' \"$0\" \\\n  two; cat; exit 9\n"
        let end = try await run(CommandFrame(script: script, as: nil), input: Array("input".utf8), by: shell)
        #expect(end.out.state == .ended(9))
        #expect(end.err.state == .ended(9))
        #expect(String(decoding: end.own, as: UTF8.self) == odd + "\nsh\ntwo\ninput")
        #expect(end.out.preface.isEmpty && end.err.preface.isEmpty)
        // As long as one that still goes with the request.
        let lines = String(repeating: "# a line of some length that says nothing\n", count: 500)
        let long = CommandFrame(script: lines + "echo through", as: nil)
        #expect(long.inputPrefix.isEmpty && long.request.utf8.count > 20_000)
        #expect(try await run(long, input: [], by: shell).own == Array("through\n".utf8))
        let longer = CommandFrame(script: Self.long.replacing("mkdir \"$BEGUN\";", with: ""), as: nil)
        #expect(
            try await run(longer, input: longer.inputPrefix + Array("own".utf8), by: shell).own == Array("own".utf8)
        )
    }

    /// Read by the shell itself, and through a program.
    private static let waitingScripts = [0, CommandFrame.longestOwnReading].map { length in
        // Among the bytes are those that dash uses for its own purposes (\u{81} to \u{88} in its parser.h).
        "printf '%s|' \"$0\" '  it''s ! \\\n\n \t Á ₁ \u{82}\u{88} ü\u{7f} \\' #"
            + String(repeating: "ä", count: length)
            + "\ncat; exit 9\n\n"
    }

    @Test(arguments: loginShells, waitingScripts)
    func `a shell that waits takes its script from standard input, whole or not at all`(
        shell: String,
        script: String
    ) async throws {
        let input = CommandFrame.waitingInput(for: script)
        let end = try await run(CommandFrame(waitingAs: nil), input: input, by: shell)
        #expect(end.out.state == .ended(9) && end.err.state == .ended(9))
        #expect(String(decoding: end.own, as: UTF8.self) == "sh|  its ! \\\n\n \t Á ₁ \u{82}\u{88} ü\u{7f} \\|")
        let ends = [0, 1, 3, input.count / 2, input.count - 2, input.count - 1].map { Array(input.prefix($0)) }
        let beginnings = [1, 5, 12].map { Array(input.dropFirst($0)) }
        let middle = Array(input.prefix(20)) + input.dropFirst(30)
        let header = input.prefix { $0 != UInt8(ascii: "\n") }
        let odd = Array(header) + Array(" odd".utf8) + input.dropFirst(header.count)
        for cut in ends + beginnings + [middle, odd] {
            let end = try await run(CommandFrame(waitingAs: nil), input: cut, by: shell)
            #expect(end.out.state == .outerEnded(begun: false, CommandFrame.cutShortExitCode), "\(cut.count)")
            #expect(end.own.isEmpty)
        }
    }

    @Test func `a long script is taken from standard input, and the rest is left to it`() async throws {
        let frame = CommandFrame(script: "BEGUN=/; " + Self.long.replacing("mkdir \"$BEGUN\";", with: ""), as: nil)
        #expect(!frame.inputPrefix.isEmpty)
        let end = try await run(frame, input: frame.inputPrefix + Array("its own\0".utf8))
        #expect(end.out.state == .ended(7))
        #expect(end.err.state == .ended(7))
        #expect(end.own == Array("its own\0".utf8))
    }

    @Test func `a long script that arrives cut short is not begun`() async throws {
        let begun = FileManager.default.temporaryDirectory.appending(path: "begun-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: begun) }
        let frame = CommandFrame(script: "BEGUN=\(begun)\n" + Self.long, as: nil)
        let end = try await run(frame, input: Array(frame.inputPrefix.dropLast(2)))
        #expect(end.out.state == .outerEnded(begun: false, CommandFrame.cutShortExitCode))
        #expect(String(decoding: end.err.preface, as: UTF8.self).contains("cut short"))
        #expect(!FileManager.default.fileExists(atPath: begun))
    }

    @Test func `marks are found wherever the stream is cut into pieces`() {
        let frame = CommandFrame(script: "", as: nil, nonce: "n0nce")
        let body: [UInt8] = [0, 0x1e, 10] + Array("\u{1e}n0nc \u{1e}n0nce".utf8) + [0x1e, 255]
        let stream = Array("motd\n\u{1e}n0nce begin\n".utf8) + body + Array("\u{1e}n0nce rc=3\nleft over".utf8)
        for size in 1...stream.count {
            var (parser, own) = (MarkParser(mark: frame.mark), [UInt8]())
            for start in stride(from: 0, to: stream.count, by: size) {
                stream[start..<min(start + size, stream.count)].withUnsafeBytes { parser.feed($0) { own += $0 } }
            }
            #expect(parser.state == .ended(3), "pieces of \(size)")
            #expect(own == body, "pieces of \(size)")
            #expect(parser.preface == Array("motd\n".utf8), "pieces of \(size)")
        }
    }
}

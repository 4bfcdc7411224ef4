// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// One promise that every implementation of `RemoteHost` keeps, with the check of it.
///
/// The node's file system must be this machine's, as it is for a local host and for an sshd on a loopback address.
package struct HostPromise: Sendable, CustomStringConvertible {
    package struct Broken: Error, CustomStringConvertible {
        package var description: String
    }

    package var description: String
    /// Throws where the host breaks the promise.
    ///
    /// The folder is empty and the check's own.
    package var check: @Sendable (_ host: any RemoteHost, _ folder: URL) async throws -> Void

    /// Checks the promise in a folder of its own, which is removed whatever happened.
    package func verify(_ host: any RemoteHost) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "pawl-promise-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try await check(host, folder)
    }

    static func expect(_ isKept: Bool, _ message: @autoclosure () -> String) throws {
        if !isKept { throw Broken(description: message()) }
    }

    static func run(
        _ host: any RemoteHost,
        _ script: String,
        input: [UInt8] = [],
        timeout: Duration = .seconds(30)
    ) async throws -> CommandResult {
        try await host.run(
            RemoteCommand("promise", script: script, standardInput: input, effect: .readOnly, timeout: timeout)
        )
    }

    static func expectError(
        _ code: RemoteError.Code,
        _ what: String,
        _ body: () async throws -> Void
    ) async throws {
        do {
            try await body()
        } catch let error as RemoteError {
            return try expect(error.code == code, "\(what): \(code) expected, got \(error.code): \(error)")
        }
        throw Broken(description: "\(what): no error")
    }

    // MARK: - Commands

    /// What every host promises about commands.
    package static let ofCommands: [HostPromise] = [
        HostPromise(description: "both streams arrive byte by byte, apart") { host, _ in
            let result = try await run(host, #"printf 'a\000b\036c\r\n\377'; printf '\036\000err' >&2"#)
            try expect(result.standardOutput == [97, 0, 98, 0x1e, 99, 13, 10, 255], "\(result.standardOutput)")
            try expect(result.standardError == [0x1e, 0] + Array("err".utf8), "\(result.standardError)")
        },
        HostPromise(description: "nothing said is nothing heard") { host, _ in
            let result = try await run(host, ":")
            try expect(result.standardOutput.isEmpty && result.standardError.isEmpty, "\(result)")
        },
        HostPromise(description: "exit codes 0 to 255 come back as they are") { host, _ in
            for code in 0...255 {
                let result = try await run(host, "exit \(code)")
                try expect(result.exitCode == code, "exit \(code) came back as \(result.exitCode)")
            }
        },
        HostPromise(description: "exit inside a script ends it and tells its code") { host, _ in
            let result = try await run(host, "printf before; if true; then exit 3; fi; printf after")
            try expect(result.exitCode == 3 && result.output == "before", "\(result.exitCode) \(result.output)")
        },
        HostPromise(description: "a script that the shell cannot read fails") { host, _ in
            let result = try await run(host, "if then )")
            try expect(result.exitCode != 0, "exit code 0")
        },
        HostPromise(description: "every byte value goes in and comes back") { host, _ in
            let bytes = (0...255).map { UInt8($0) } + [0x1e]
            let result = try await run(host, "cat", input: bytes)
            try expect(result.standardOutput == bytes, "\(result.standardOutput)")
        },
        HostPromise(description: "8 MiB go in and come back") { host, _ in
            var random = SplitMix(seed: 8)
            let bytes = (0..<(1 << 20)).flatMap { _ in withUnsafeBytes(of: random.next()) { Array($0) } }
            let result = try await run(host, "cat", input: bytes)
            try expect(
                result.standardOutput == bytes,
                "\(result.standardOutput.count) of \(bytes.count) bytes, or others"
            )
        },
        HostPromise(description: "input that a command does not read does no harm") { host, _ in
            let result = try await run(host, "exit 7", input: [UInt8](repeating: 65, count: 1 << 20))
            try expect(result.exitCode == 7, "\(result.exitCode)")
        },
        HostPromise(description: "a script of 100 KiB runs whole") { host, _ in
            let line = "x=$((x + 1)) # \(String(repeating: "-", count: 85))\n"
            let script = "x=0\n" + String(repeating: line, count: 1050) + "cat; printf %s $x"
            try expect(script.utf8.count > 100 << 10, "the script is too short")
            let result = try await run(host, script, input: Array("in ".utf8))
            try expect(result.output == "in 1050", result.output + result.errorOutput)
        },
        HostPromise(description: "20 commands at once get each its own answer") { host, _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...20 {
                    group.addTask {
                        let result = try await run(
                            host,
                            "cat; printf %s \(number); exit \(number)",
                            input: Array("#".utf8)
                        )
                        try expect(
                            result.exitCode == number && result.output == "#\(number)",
                            "\(number): \(result.exitCode) \(result.output)"
                        )
                    }
                }
                try await group.waitForAll()
            }
        },
        HostPromise(description: "a command over its time is in doubt, and the host is of use after it") { host, _ in
            // The first command of a connection is kept back until its shell is there, and is not begun before.
            _ = try await run(host, ":")
            let started = ContinuousClock.now
            try await expectError(.inDoubt, "timeout") {
                _ = try await run(host, "exec sleep 25", timeout: .seconds(1))
            }
            let took = ContinuousClock.now - started
            try expect(took < .seconds(15), "given up after \(took)")
            let result = try await run(host, "printf alive")
            try expect(result.output == "alive", result.output)
        },
        HostPromise(description: "a killed shell is in doubt, whatever the server reports") { host, _ in
            try await expectError(.inDoubt, "kill -9 $$") { _ = try await run(host, "printf x; kill -9 $$; sleep 1") }
            let result = try await run(host, "printf alive")
            try expect(result.output == "alive", result.output)
        },
        HostPromise(description: "quoted words reach the shell as they are") { host, _ in
            var random = SplitMix(seed: 1)
            let pieces = [
                "'", "\"", "\\", "$(echo x)", "`id`", "\n", "\r\n", "\t", " ", "*", "?", "~", "#", "!", ";", "&", "|",
                "<",
                ">", "(", "{", "}", "a", "Z", "0", "-", "--", "=", "%s", "é", "日", "👩‍👩‍👧", "'\u{301}", "\u{301}", "\u{1e}",
                "\u{7f}",
            ]
            var words = ["", "'", "''", "'\u{301}; touch x", "\n", "-n", "--", "a b", "$HOME"]
            for _ in 0..<300 {
                words.append(
                    (0..<Int.random(in: 0...8, using: &random))
                        .map { _ in pieces.randomElement(using: &random) ?? "" }
                        .joined()
                )
            }
            let result = try await run(host, "printf '%s\\0' " + ShellQuoting.line(words))
            let expected: [UInt8] = words.flatMap { Array($0.utf8) + [0 as UInt8] }
            try expect(result.standardOutput == expected, "words changed: \(result.output) \(result.errorOutput)")
        },
    ]

    // MARK: - Files

    /// What hosts promise that may be written to.
    package static let ofFiles: [HostPromise] = [
        HostPromise(description: "files go up and come down as they are, with their mode") { host, folder in
            for (count, mode) in [(0, 0o600), (1, 0o755), (3 << 20 | 7, 0o640)] {
                var random = SplitMix(seed: UInt64(count))
                let content = Data((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
                let (source, back) = (folder.appending(path: "source"), folder.appending(path: "back"))
                let path = folder.appending(path: "it's on the node").path(percentEncoded: false)
                try content.write(to: source)
                try await host.upload(source, to: path, mode: mode, timeout: .seconds(30))
                let attributes = try FileManager.default.attributesOfItem(atPath: path)
                let found = attributes[.posixPermissions] as? Int
                try expect(found == mode, "mode \(String(found ?? 0, radix: 8)), not \(String(mode, radix: 8))")
                try await host.download(path, to: back, timeout: .seconds(30))
                try expect(try Data(contentsOf: back) == content, "\(count) bytes came back as others")
            }
            let names = try FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))
            try expect(names.sorted() == ["back", "it's on the node", "source"], "left behind: \(names)")
        },
        HostPromise(description: "a file that is not there is an error, on either side") { host, folder in
            let none = folder.appending(path: "none")
            let (path, target) = (none.path(percentEncoded: false), folder.appending(path: "target"))
            try await expectError(.transfer, "download") {
                try await host.download(path, to: target, timeout: .seconds(30))
            }
            try await expectError(.transfer, "upload of nothing") {
                try await host.upload(none, to: path, mode: 0o600, timeout: .seconds(30))
            }
            try Data("x".utf8).write(to: target)
            try await expectError(.transfer, "upload to nowhere") {
                try await host.upload(target, to: path + "/below", mode: 0o600, timeout: .seconds(30))
            }
        },
    ]
}

/// Random numbers that are the same in each run.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

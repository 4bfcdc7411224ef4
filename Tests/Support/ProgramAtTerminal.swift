// SPDX-License-Identifier: Apache-2.0

import Foundation
import Subprocess
import Synchronization
import SystemPackage

/// A program at a terminal of its own, at which a test types.
///
/// ## Concurrency
/// A thread of its own reads what the program shows until the last end of the terminal is closed.
package final class ProgramAtTerminal: Sendable {
    /// The end of the terminal at which a person sits.
    private let seat: Int32
    /// The program's end, held open so that the terminal does not end before the program has opened it.
    private let held: Int32
    private let shown = Mutex<[UInt8]>([])
    private let isOver = Atomic(false)

    private init() throws {
        var (seat, held): (Int32, Int32) = (-1, -1)
        guard openpty(&seat, &held, nil, nil, nil) == 0 else { throw Errno(rawValue: errno) }
        for end in [seat, held] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (self.seat, self.held) = (seat, held)
    }

    /// Runs a program at a new terminal, which controls it, and meanwhile the closure.
    ///
    /// - Parameters:
    ///   - program: its path.
    ///   - arguments: what stands behind the name.
    ///   - directory: where it runs.
    ///   - body: types and waits for words; the program is waited for afterwards, and killed when this throws.
    /// - Returns: its end, 128 + the signal when it was killed, and all that the terminal showed as `stdout`.
    /// - Throws: what the closure throws, or why there is no terminal.
    package static func run(
        _ program: String,
        _ arguments: [String],
        in directory: String,
        _ body: @Sendable (ProgramAtTerminal) async throws -> Void
    ) async throws -> Program.Output {
        let terminal = try ProgramAtTerminal()
        guard let name = ttyname(terminal.held).map({ String(cString: $0) }) else { throw Errno(rawValue: errno) }
        Thread { terminal.readAll() }.start()
        let result: Result<Int, any Error>
        do {
            result = .success(
                try await exitCode(program, arguments, in: directory, at: name) { try await body(terminal) }
            )
        } catch {
            result = .failure(error)
        }
        close(terminal.held)
        while !terminal.isOver.load(ordering: .acquiring) { try await Task.sleep(for: .milliseconds(2)) }
        close(terminal.seat)
        return Program.Output(exitCode: try result.get(), stdout: terminal.text, stderr: "")
    }

    /// Types words; a line ends with `\r`, as the key Return does.
    package func type(_ words: String) {
        let bytes = Array(words.utf8)
        _ = write(seat, bytes, bytes.count)
    }

    /// Waits until the terminal shows the words.
    ///
    /// - Throws: `Unseen` when it does not within 30 s.
    package func wait(for words: String) async throws {
        try await wait(for: "'\(words)'") { text.contains(words) }
    }

    /// Waits until what is typed is shown.
    ///
    /// - Throws: `Unseen` when it is not within 30 s.
    package func waitForEcho() async throws {
        try await wait(for: "an echo") { isEchoing }
    }

    private func wait(for what: String, _ isThere: () -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while !isThere() {
            guard ContinuousClock.now < deadline else { throw Unseen(what: what, text: text) }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// What did not come.
    package struct Unseen: Error {
        package let what: String
        /// What the terminal showed instead.
        package let text: String
    }

    /// All that the terminal has shown so far.
    package var text: String { shown.withLock { String(decoding: $0, as: UTF8.self) } }

    /// Whether what is typed is shown.
    package var isEchoing: Bool {
        var settings = termios()
        return tcgetattr(seat, &settings) == 0 && settings.c_lflag & tcflag_t(ECHO) != 0
    }

    // MARK: - Program

    private static func exitCode(
        _ program: String,
        _ arguments: [String],
        in directory: String,
        at name: String,
        _ body: () async throws -> Void
    ) async throws -> Int {
        var platform = PlatformOptions()
        platform.createSession = true
        // The first terminal that the leader of a session opens becomes the one that controls it.
        let script = "exec \"$0\" \"$@\" <>\(name) >&0 2>&0"
        let ended = try await Subprocess.run(
            .path("/bin/sh"),
            arguments: Arguments(["-c", script, program] + arguments),
            workingDirectory: FilePath(directory),
            platformOptions: platform,
            input: .none,
            output: .discarded,
            error: .discarded
        ) { execution in
            do {
                try await body()
            } catch {
                kill(execution.processIdentifier.value, SIGKILL)
                throw error
            }
        }
        return switch ended.terminationStatus {
        case .exited(let code): Int(code)
        case .signaled(let signal): 128 + Int(signal)
        }
    }

    /// Until nobody has the terminal open any more, when reading fails with EIO.
    private func readAll() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(seat, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            shown.withLock { $0 += buffer.prefix(count) }
        }
        isOver.store(true, ordering: .releasing)
    }
}

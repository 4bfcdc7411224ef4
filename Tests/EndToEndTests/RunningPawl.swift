// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lab
import Subprocess
import TestSupport
import Testing

/// A `pawl` that is at work, and what it has said so far.
struct RunningPawl: Sendable {
    let pid: pid_t
    /// The files that its stdout and stderr go to.
    let standardOutput: String
    let standardError: String

    /// Waits until it has printed an event.
    @discardableResult
    func wait(for what: String, _ isIt: (EventLine) -> Bool) async throws -> EventLine {
        var found: EventLine?
        try await wait(for: what) {
            found = try EventLine.all(in: read(standardOutput)).first(where: isIt)
            return found != nil
        }
        guard let found else { throw LabError(.notReady, "no \(what)") }
        return found
    }

    /// Waits until it has said something to people.
    func wait(forMessage text: String) async throws {
        try await wait(for: "'\(text)' on stderr") { read(standardError).contains(text) }
    }

    func send(_ signal: Int32) {
        kill(pid, signal)
    }

    private func wait(for what: String, _ isThere: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while true {
            // Asked for first: a process that has ended cannot say anything afterwards.
            let hasEnded = !isRunning
            if try isThere() { return }
            if hasEnded || ContinuousClock.now > deadline {
                send(SIGKILL)
                throw LabError(
                    .notReady,
                    "pawl \(hasEnded ? "ended" : "ran for a minute") without \(what): "
                        + read(standardOutput).suffix(2000) + read(standardError)
                )
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// It is not reaped before the test lets go of it, so its id is nobody else's.
    private var isRunning: Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return stat.split(separator: ")").last?.hasPrefix(" Z") == false
    }

    private func read(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

extension ClusterFixture {
    /// Runs `pawl` to its end, with a closure that follows what it prints and may send it a signal.
    func follow(
        _ arguments: [String],
        by start: String = "exec",
        _ body: @Sendable (RunningPawl) async throws -> Void
    ) async throws -> Output {
        let name = "\(directory)/output-\(UUID().uuidString.prefix(8))"
        // The shell becomes pawl, so the process id is the same.
        let script = "\(start) \"$0\" \"$@\" >\(name).out 2>\(name).err"
        let result = try await run("/bin/sh", ["-c", script, Self.binary] + arguments) { pid in
            try await body(RunningPawl(pid: pid, standardOutput: "\(name).out", standardError: "\(name).err"))
        }
        return Output(
            exitCode: result.exitCode,
            stdout: try String(contentsOfFile: "\(name).out", encoding: .utf8),
            stderr: try String(contentsOfFile: "\(name).err", encoding: .utf8)
        )
    }

    // MARK: - Controllers that are killed

    /// Kills `pawl` once the closure has returned, and expects that this is how it ended.
    @discardableResult
    func expectKilled(
        _ arguments: [String],
        sourceLocation: SourceLocation = #_sourceLocation,
        once isThere: @Sendable (RunningPawl) async throws -> Void
    ) async throws -> Output {
        let output = try await follow(arguments + Self.json) { pawl in
            try await isThere(pawl)
            pawl.send(SIGKILL)
        }
        #expect(output.exitCode == 128 + Int(SIGKILL), "\(output.all)", sourceLocation: sourceLocation)
        return output
    }

    /// Kills `pawl` where an action begins; `host` says on which, else it is the first one.
    @discardableResult
    func expectKilled(
        _ arguments: [String],
        at action: String,
        on host: String? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Output {
        try await expectKilled(arguments, sourceLocation: sourceLocation) { pawl in
            try await pawl.wait(for: action) { $0.starts(action, on: host) }
        }
    }

    /// Kills `pawl` where an action begins, goes on with the run, and expects that it is done then.
    func expectKilledAndResumed(
        _ arguments: [String],
        at action: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Output {
        try await expectKilled(arguments, at: action, sourceLocation: sourceLocation)
        let resumed = try await pawl(resumeArguments)
        #expect(resumed.exitCode == 0, "\(resumed.all)", sourceLocation: sourceLocation)
        return resumed
    }

    /// Kills `pawl` at one point after the other, each time gone on with.
    ///
    /// A kill may come so late that the work of the next point was done, and is found done.
    ///
    /// - Returns: whether the run came to its end already.
    func expectKilledAtEach(
        of points: [(what: String, isThere: @Sendable (EventLine) -> Bool)],
        _ arguments: [String],
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws -> Bool {
        var arguments = arguments
        for (what, isThere) in points {
            let output = try await follow(arguments + Self.json) { pawl in
                if (try? await pawl.wait(for: what, isThere)) != nil { pawl.send(SIGKILL) }
            }
            if output.exitCode == 0 { return true }
            let comment: Comment = "\(what): \(output.all)"
            #expect(output.exitCode == 128 + Int(SIGKILL), comment, sourceLocation: sourceLocation)
            arguments = resumeArguments
        }
        return false
    }
}

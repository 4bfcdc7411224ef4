// SPDX-License-Identifier: Apache-2.0

import Foundation
import Subprocess
import TestSupport

/// A `pawl` at work, and what it has said so far.
package struct Controller: Sendable {
    /// How one `pawl` ended.
    package struct End: Sendable {
        package var exitCode: Int
        package var events: [EventLine]
        package var stderr: String

        /// The report of a halt, when it came to one.
        package var report: EventLine.Report? { events.last?.report }
        /// What it said last, on one line.
        package var lastWords: String {
            let text = [report?.host, report?.step, report?.reason, report?.remedy].compactMap(\.self)
                .joined(separator: ": ")
            let words = text.isEmpty ? stderr : text
            return words.split(separator: "\n").suffix(3).joined(separator: " / ")
        }
    }

    package let pid: pid_t
    private let standardOutput: String

    /// Runs `pawl` to its end, and meanwhile a closure that follows it and may do it harm.
    ///
    /// It is killed when it takes longer than the limit, which ends it with 137 and a last word.
    package static func run(
        _ arguments: [String],
        on bench: Testbed,
        limit: Duration = .seconds(240),
        meanwhile: @Sendable @escaping (Controller) async throws -> Void = { _ in }
    ) async throws -> End {
        let name = try bench.newLog(arguments)
        let script = "exec \"$0\" \"$@\" >\(name).out 2>\(name).err"
        let overran = Flag()
        // The shell becomes pawl, so the process id is the same.
        let output = try await Program.run("/bin/sh", ["-c", script, bench.pawl] + arguments + ["--format", "json"]) {
            let controller = Controller(pid: $0, standardOutput: "\(name).out")
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await meanwhile(controller)
                }
                group.addTask {
                    let ended = try await eventually(within: Double(limit.components.seconds), every: .milliseconds(20))
                    {
                        !controller.isRunning
                    }
                    if !ended {
                        await overran.set()
                        controller.send(SIGKILL)
                    }
                }
                defer { group.cancelAll() }
                do {
                    try await group.waitForAll()
                } catch {
                    controller.send(SIGKILL)
                    throw error
                }
            }
        }
        var stderr = (try? String(contentsOfFile: "\(name).err", encoding: .utf8)) ?? ""
        if await overran.isSet { stderr += "\nit did not end within \(limit)" }
        try "\(output.exitCode)\n".write(toFile: "\(name).exit", atomically: true, encoding: .utf8)
        return End(
            exitCode: output.exitCode,
            events: try EventLine.all(in: (try? String(contentsOfFile: "\(name).out", encoding: .utf8)) ?? ""),
            stderr: stderr
        )
    }

    /// What it has said so far.
    private func events() throws -> [EventLine] {
        let text = FileManager.default.contents(atPath: standardOutput).map { String(decoding: $0, as: UTF8.self) }
        return try EventLine.all(in: text ?? "")
    }

    /// It is not reaped before ``run`` comes back, so its id is nobody else's.
    package var isRunning: Bool {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        return !(stat.split(separator: ")").last ?? "Z").hasPrefix(" Z")
    }

    package func send(_ signal: Int32) {
        kill(pid, signal)
    }

    /// Waits until it has said something; `nil` when it ends without.
    package func wait(for isIt: @Sendable ([EventLine]) -> EventLine?) async throws -> EventLine? {
        while true {
            // Asked for first: a process that has ended says nothing afterwards.
            let hasEnded = !isRunning
            if let found = isIt(try events()) { return found }
            if hasEnded { return nil }
            try await Task.sleep(for: .milliseconds(4))
        }
    }

    private actor Flag {
        private(set) var isSet = false
        func set() { isSet = true }
    }
}

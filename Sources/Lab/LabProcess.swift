// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A process of the lab, known by its id and by when it started: a process id alone may be somebody else's by now.
struct LabProcess: Hashable, Sendable {
    var id: Int32
    /// Field 22 of `/proc/PID/stat`, in clock ticks since boot (proc(5)).
    var start: UInt64

    /// What a starter wrote about itself: `PID START`.
    ///
    /// `nil` when it never got that far.
    init?(file: String) {
        guard let text = try? String(contentsOfFile: file, encoding: .utf8) else { return nil }
        let words = text.split { $0 == " " || $0 == "\n" }
        guard words.count == 2, let id = Int32(words[0]), let start = UInt64(words[1]), id > 1 else { return nil }
        self.id = id
        self.start = start
    }

    private init(id: Int32, start: UInt64) {
        self.id = id
        self.start = start
    }

    /// Whether it still runs; a process that only waits to be reaped does not.
    var isRunning: Bool {
        guard let now = Self.stat(of: id) else { return false }
        return now.start == start && now.state != "Z" && now.state != "X"
    }

    /// Sends a signal, if the process is still the one it was.
    func signal(_ number: Int32) {
        guard isRunning else { return }
        kill(id, number)
    }

    /// Ends it now and waits until it is gone.
    ///
    /// False when it is still there after the time.
    func end(within seconds: Double = 10) async -> Bool {
        signal(SIGKILL)
        return await Wait.until(seconds: seconds) { !isRunning }
    }

    /// Its children.
    var children: [LabProcess] {
        guard isRunning else { return [] }
        return Self.all().filter { Self.stat(of: $0.id)?.parent == id }
    }

    /// The processes that carry a variable in the environment they were started with, as far as this user may look.
    static func carrying(_ variable: String) -> [LabProcess] {
        let wanted = Array(variable.utf8)
        return all().filter { process in
            guard let data = FileManager.default.contents(atPath: "/proc/\(process.id)/environ") else { return false }
            return data.split(separator: 0).contains { $0.elementsEqual(wanted) }
        }
    }

    private static func all() -> [LabProcess] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { entry in
            guard let id = Int32(entry), let stat = stat(of: id), stat.state != "Z" else { return nil }
            return LabProcess(id: id, start: stat.start)
        }
    }

    /// The name in the second field may hold spaces and parentheses, so what counts comes after its last one.
    private static func stat(of id: Int32) -> (state: Substring, parent: Int32, start: UInt64)? {
        guard
            let data = FileManager.default.contents(atPath: "/proc/\(id)/stat"),
            let tail = String(decoding: data, as: UTF8.self).split(separator: ")").last
        else { return nil }
        let fields = tail.split(separator: " ")
        guard fields.count > 19, let parent = Int32(fields[1]), let start = UInt64(fields[19]) else { return nil }
        return (fields[0], parent, start)
    }
}

/// Waiting for a condition.
enum Wait {
    /// Asks until the answer is yes; false when the time is over first.
    static func until(seconds: Double, _ condition: () async throws -> Bool) async rethrows -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while true {
            if try await condition() { return true }
            if ContinuousClock.now >= deadline { return false }
            // A cancelled caller stops waiting; the answer is then the last one.
            do { try await Task.sleep(for: .milliseconds(50)) } catch { return false }
        }
    }
}

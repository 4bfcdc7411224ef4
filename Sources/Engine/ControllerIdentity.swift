// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// Which process a controller is, and whether another one is gone for certain.
enum ControllerIdentity {
    /// This process, as the lock names it.
    static let current: NodeLock.Controller = {
        let environment = ProcessInfo.processInfo.environment
        let process = ProcessInfo.processInfo.processIdentifier
        return NodeLock.Controller(
            // Whoever ran sudo is whom to ask.
            owner: environment["SUDO_USER"] ?? NSUserName(),
            host: hostName,
            boot: line(of: "/proc/sys/kernel/random/boot_id") ?? "",
            space: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? "",
            pid: process,
            start: ProcessTrace(of: process)?.start ?? ""
        )
    }()

    /// Whether a controller is proven to be gone.
    ///
    /// What cannot be proven is not so: a process that may not be looked at is there.
    static func isGone(_ other: NodeLock.Controller) -> Bool { isAtWork(other) == false }

    /// Whether a controller is at work; `nil` where that cannot be known, as of one on another machine.
    ///
    /// It can be known of one of this machine, this boot and this process namespace: it is gone when its process is not
    /// there any more, or is another one of the same number.
    static func isAtWork(_ other: NodeLock.Controller) -> Bool? {
        let me = current
        guard !me.boot.isEmpty, !me.space.isEmpty, other.boot == me.boot, other.space == me.space,
            other.host == me.host,
            other.pid > 0, !other.start.isEmpty
        else { return nil }
        if kill(other.pid, 0) != 0, errno == ESRCH { return false }
        guard let trace = ProcessTrace(of: other.pid) else { return nil }
        return trace.start == other.start && !trace.isDead
    }

    /// The machine's own name; Foundation's would ask the network for it, and may wait for that.
    private static let hostName: String = {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }()

    private static func line(of path: String) -> String? {
        (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
    }
}

/// What `/proc` shows of a process.
private struct ProcessTrace {
    /// When it started, in clock ticks since the boot.
    var start: String
    /// It has ended, and its parent has not asked how.
    var isDead: Bool

    init?(of process: Int32) {
        // The program's name stands in parentheses and may hold anything.
        guard let stat = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19 else { return nil }
        start = String(fields[19])
        // A first thread may end before the others; then there is more than one.
        let threads = try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")
        isDead = fields[0] == "Z" && (threads?.count ?? 0) <= 1
    }
}

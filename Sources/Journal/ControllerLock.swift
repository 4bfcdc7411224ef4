// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Who drives a run, as it is written into the lock file.
package struct ControllerHolder: Hashable, Sendable, Codable, CustomStringConvertible {
    package var pid: Int32
    package var host: String
    package var run: String
    package var since: Date

    package init(pid: Int32, host: String, run: String, since: Date) {
        self.pid = pid
        self.host = host
        self.run = run
        self.since = JournalTime.rounded(since)
    }

    /// This process.
    static func current(run: String) -> ControllerHolder {
        ControllerHolder(pid: getpid(), host: hostName, run: run, since: Date())
    }

    package var description: String {
        "run \(run), process \(pid) on \(host), since \(JournalTime.text(since))"
    }

    /// The machine's own name; Foundation's would ask the network for it, and may wait for that.
    private static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "unknown" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    var json: Data {
        get throws { try JournalExport.encoder.encode(self) }
    }

    init?(json: Data) {
        guard let holder = try? JournalExport.decoder.decode(ControllerHolder.self, from: json) else { return nil }
        self = holder
    }
}

/// The right to control, held until it is released or forgotten.
package final class ControllerLock: Sendable {
    /// What was written down about this process.
    package let holder: ControllerHolder
    private let giveBack: Mutex<(@Sendable () -> Void)?>

    init(holder: ControllerHolder, giveBack: @escaping @Sendable () -> Void) {
        self.holder = holder
        self.giveBack = Mutex(giveBack)
    }

    deinit { release() }

    /// Gives the journal back; later calls do nothing.
    package func release() {
        let action = giveBack.withLock { action in
            defer { action = nil }
            return action
        }
        action?()
    }

    /// The error of whoever comes second.
    static func refusal(_ holder: ControllerHolder?) -> JournalError {
        JournalError(
            .locked,
            "another controller is at work: " + (holder.map(\.description) ?? "it has not said who it is"),
            remedy: "wait for it, or stop that process with SIGINT; it ends at a safe point",
            holder: holder
        )
    }
}

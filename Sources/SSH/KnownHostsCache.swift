// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// The records of host keys as they were read last, so that a thousand hosts do not read a thousand lines each.
///
/// A file that was changed since, as by `accept-new` or by another program, is read again.
///
/// ## Concurrency
/// What was read is behind its mutex, and is a value.
final class KnownHostsCache: Sendable {
    static let shared = KnownHostsCache()

    /// What tells a file from what it was: with the time alone, two changes within its grain would be one.
    private struct Stamp: Equatable {
        var inode: UInt64 = 0
        var size = 0
        var seconds = 0
        var nanoseconds = 0

        init(of path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return }
            inode = UInt64(status.st_ino)
            size = Int(status.st_size)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }
    }

    private struct Reading {
        var stamps: [Stamp]
        var record: KnownHosts
    }

    /// By the files, of which a process has few lists.
    private let readings = Mutex<[[String]: Reading]>([:])
    private static let limit = 32

    /// What the files hold now.
    func record(in files: [String]) -> KnownHosts {
        // Taken before the files are read: one that changes meanwhile is read again the next time.
        let stamps = files.map { Stamp(of: KnownHosts.expand($0)) }
        return readings.withLock { readings in
            if let known = readings[files], known.stamps == stamps { return known.record }
            let record = KnownHosts(files: files)
            if readings.count >= Self.limit { readings = [:] }
            readings[files] = Reading(stamps: stamps, record: record)
            return record
        }
    }
}

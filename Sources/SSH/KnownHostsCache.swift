// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// The records of host keys as they were read last, so that a thousand hosts do not read a thousand lines each.
///
/// A file that another program has changed since is read again. What `accept-new` writes itself is put to what was read:
/// otherwise a thousand new hosts would read the file a thousand times, growing.
///
/// ## Concurrency
/// What was read is behind its mutex, and is a value.
final class KnownHostsCache: Sendable {
    static let shared = KnownHostsCache()

    /// What tells a file from what it was: with the time alone, two changes within its grain would be one.
    struct Stamp: Equatable {
        private(set) var inode: UInt64 = 0
        private(set) var size = 0
        private var seconds = 0
        private var nanoseconds = 0

        init(of path: String) {
            var status = stat()
            if stat(path, &status) == 0 { note(status) }
        }

        init(of descriptor: Int32) {
            var status = stat()
            if fstat(descriptor, &status) == 0 { note(status) }
        }

        private mutating func note(_ status: stat) {
            inode = UInt64(status.st_ino)
            size = Int(status.st_size)
            (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
        }
    }

    /// One line that this process wrote to the end of a file.
    struct Addition {
        /// As it was written, with its newline.
        var line: String
        /// Its number.
        var number: Int
        var before: Stamp
        var after: Stamp
    }

    private struct Reading {
        var stamps: [Stamp]
        var record: KnownHosts
    }

    /// By the files, of which a process has few lists.
    private let readings = Mutex<[[String]: Reading]>([:])
    private static let limit = 32
    private let read: @Sendable ([String]) -> KnownHosts

    init(read: @escaping @Sendable ([String]) -> KnownHosts = KnownHosts.init(files:)) {
        self.read = read
    }

    /// What the files hold now.
    func record(in files: [String]) -> KnownHosts {
        // Taken before the files are read: one that changes meanwhile is read again the next time.
        let stamps = files.map { Stamp(of: KnownHosts.expand($0)) }
        return readings.withLock { readings in
            if let known = readings[files], known.stamps == stamps { return known.record }
            let record = read(files)
            if readings.count >= Self.limit { readings = [:] }
            readings[files] = Reading(stamps: stamps, record: record)
            return record
        }
    }

    /// Takes a line that was written to a file, where it is all that has changed since the file was read.
    func note(_ addition: Addition, to file: String) {
        let written = addition.line.utf8.count
        guard addition.after.inode == addition.before.inode, addition.after.size == addition.before.size + written
        else { return }
        readings.withLock { readings in
            for files in readings.keys {
                for (index, name) in files.enumerated() where KnownHosts.expand(name) == KnownHosts.expand(file) {
                    guard readings[files]?.stamps[index] == addition.before else { continue }
                    readings[files]?.stamps[index] = addition.after
                    readings[files]?.record.append(addition.line, from: name, at: addition.number)
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The file whose `flock` tells controllers apart.
///
/// The kernel drops the lock with the process, so there is none to go stale, and no clock decides. The file stays: to
/// remove it would let two controllers lock two files of one name.
struct ControllerLockFile {
    let path: String

    /// `status` holds a shared lock for a moment to see whether there is a holder; so a refusal is asked for again.
    private static let attempts = 10
    private static let pauseMicroseconds: UInt32 = 10_000

    /// Takes the lock and writes the holder down.
    func acquire(run: String) throws(JournalError) -> ControllerLock {
        let descriptor = try opened(O_RDWR | O_CREAT)
        for attempt in 1... {
            if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { break }
            let cause = errno
            if cause == EINTR { continue }
            guard cause == EWOULDBLOCK else {
                close(descriptor)
                throw failure(.unwritable, "cannot be locked", cause)
            }
            guard attempt < Self.attempts else {
                let holder = readHolder(descriptor)
                close(descriptor)
                throw ControllerLock.refusal(holder)
            }
            usleep(Self.pauseMicroseconds)
        }
        let holder = ControllerHolder.current(run: run)
        do {
            try write(holder, to: descriptor)
        } catch {
            close(descriptor)
            throw error
        }
        return ControllerLock(holder: holder) {
            // Emptied, so that nobody reads of a holder that is none. Unlocked in so many words: a child that is between
            // its fork and its exec has the descriptor too, and closing ours alone would leave the lock with it.
            _ = ftruncate(descriptor, 0)
            _ = flock(descriptor, LOCK_UN)
            close(descriptor)
        }
    }

    /// Who holds the lock; `nil` where nobody does.
    func holder() throws(JournalError) -> ControllerHolder? {
        guard access(path, F_OK) == 0 else { return nil }
        let descriptor = try opened(O_RDONLY)
        defer { close(descriptor) }
        while flock(descriptor, LOCK_SH | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            // Held; whoever has just taken it may not have written yet.
            return readHolder(descriptor)
                ?? ControllerHolder(pid: 0, host: "unknown", run: "unknown", since: Date(timeIntervalSince1970: 0))
        }
        return nil
    }

    private func opened(_ flags: Int32) throws(JournalError) -> Int32 {
        // Closed on exec: a child that kept it would keep the lock beyond our end.
        let descriptor = open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(.unwritable, "cannot be opened", errno) }
        if flags & O_CREAT != 0, fchmod(descriptor, 0o600) != 0 {
            let cause = errno
            close(descriptor)
            throw failure(.unwritable, "cannot be made private", cause)
        }
        return descriptor
    }

    private func write(_ holder: ControllerHolder, to descriptor: Int32) throws(JournalError) {
        do {
            let bytes = try Array(holder.json)
            guard ftruncate(descriptor, 0) == 0, pwrite(descriptor, bytes, bytes.count, 0) == bytes.count else {
                throw failure(.unwritable, "cannot be written", errno)
            }
        } catch let error as JournalError {
            throw error
        } catch {
            throw JournalError(.unwritable, "\(path) cannot be written: \(error)")
        }
    }

    private func readHolder(_ descriptor: Int32) -> ControllerHolder? {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = pread(descriptor, &buffer, buffer.count, 0)
        return count > 0 ? ControllerHolder(json: Data(buffer.prefix(count))) : nil
    }

    private func failure(_ code: JournalError.Code, _ what: String, _ cause: Int32) -> JournalError {
        JournalError(code, "\(path) \(what): \(String(cString: strerror(cause)))")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The directory that holds the journal: its files are for their owner only, whatever the umask is.
struct StateDirectory {
    let path: String

    var journalPath: String { path + "/journal.db" }
    var lockPath: String { path + "/journal.lock" }
    /// Where records go that the journal could not take.
    var unwrittenPath: String { path + "/journal.unwritten" }

    /// The files of such records that are there, the oldest first.
    var unwrittenPaths: [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.filter { $0.hasPrefix("journal.unwritten") }.sorted().map { "\(path)/\($0)" }
    }

    /// Room that is set aside for such a record, so that a full disk has it still.
    var sparePath: String { path + "/journal.spare" }
    static let spareBytes = 128 << 10

    /// Makes the directory (0700) and an empty journal file (0600) where they are missing, and checks them where not.
    func prepare() throws(JournalError) {
        try makeDirectory()
        try checkDirectory()
        try makeFile()
        makeSpare()
    }

    /// A directory that has no room for it has none for the journal, which will say so.
    private func makeSpare() {
        let file = open(sparePath, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return }
        defer { close(file) }
        if posix_fallocate(file, 0, off_t(Self.spareBytes)) != 0 { unlink(sparePath) }
    }

    /// Checks that there is a journal to be read.
    func checkForReading() throws(JournalError) {
        guard access(journalPath, F_OK) == 0 else {
            throw JournalError(
                .notFound,
                "there is no journal in \(path)",
                remedy: "name the directory with --state"
            )
        }
        try checkDirectory()
    }

    private func makeDirectory() throws(JournalError) {
        var missing: [String] = []
        var current = URL(filePath: path).standardizedFileURL.path
        while access(current, F_OK) != 0, current != "/" {
            missing.append(current)
            current = URL(filePath: current).deletingLastPathComponent().path
        }
        for directory in missing.reversed() {
            // 0700 for those above as well: they are ours, and the umask can only take bits away.
            if mkdir(directory, 0o700) != 0, errno != EEXIST { throw failure("cannot be made", directory, errno) }
        }
        if !missing.isEmpty, chmod(path, 0o700) != 0 { throw failure("cannot be made private", path, errno) }
    }

    private func checkDirectory() throws(JournalError) {
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure("cannot be looked at", path, errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw JournalError(.unwritable, "\(path) is not a directory")
        }
        // A directory that was there before is not ours to change: it may be /tmp, given by mistake.
        guard status.st_mode & 0o022 == 0 else {
            throw JournalError(
                .insecure,
                "others may write to \(path), and so could replace the journal",
                remedy: "chmod 700 \(path), or name another directory with --state"
            )
        }
    }

    private func makeFile() throws(JournalError) {
        let fresh = open(journalPath, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        let isFresh = fresh >= 0
        if !isFresh, errno != EEXIST { throw failure("cannot be made", journalPath, errno) }
        let file = isFresh ? fresh : open(journalPath, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw failure("cannot be opened", journalPath, errno) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw failure("cannot be looked at", journalPath, errno) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw JournalError(.foreign, "\(journalPath) is not a regular file")
        }
        // SQLite gives its -wal and -shm files the mode of the database.
        if status.st_mode & 0o777 != 0o600, fchmod(file, 0o600) != 0 {
            throw failure("cannot be made private", journalPath, errno)
        }
        if isFresh { try synchronize() }
    }

    /// Makes the new file's name survive a loss of power; SQLite does so for its own files only.
    private func synchronize() throws(JournalError) {
        let directory = open(path, O_RDONLY | O_CLOEXEC)
        guard directory >= 0 else { throw failure("cannot be opened", path, errno) }
        defer { close(directory) }
        guard fsync(directory) == 0 else { throw failure("cannot be synchronized", path, errno) }
    }

    private func failure(_ what: String, _ file: String, _ cause: Int32) -> JournalError {
        JournalError(
            .unwritable,
            "\(file) \(what): \(String(cString: strerror(cause)))",
            remedy: "name a directory of your own with --state"
        )
    }
}

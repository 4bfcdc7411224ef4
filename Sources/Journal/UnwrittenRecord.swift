// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The last resort for a record that the journal could not take: a file beside it, or else stderr.
///
/// What was attempted must be known somewhere, even when the disk is full. Nothing reads it back: a resumed run finds
/// the step in doubt and looks at the node.
struct UnwrittenRecord {
    private struct Line: Encodable {
        var at: Date
        var why: String
        var record: StepRecord?
        var fact: FactRecord?
        var state: State?
    }

    /// How far a run came, where that could not be written.
    struct State: Encodable {
        var run: String
        var state: RunState
        var exitCode: Int32?
    }

    enum Content {
        case record(StepRecord)
        case fact(FactRecord)
        case state(State)
    }

    let content: Content
    let directory: StateDirectory

    /// Keeps it, and adds to the error where it is.
    func kept(after error: JournalError) -> JournalError {
        var line = Line(at: Date(), why: error.message)
        switch content {
        case .record(let record): line.record = record
        case .fact(let fact): line.fact = fact
        case .state(let state): line.state = state
        }
        guard let text = try? JournalExport.encoder.encode(line) + Data("\n".utf8) else { return error }
        var told = error
        if let path = append(text) ?? putInSpare(text) {
            told.message += "; what was to be written is the last line of \(path)"
        } else {
            let words = "pawl: this record is neither in the journal nor in \(directory.unwrittenPath):\n"
            try? FileHandle.standardError.write(contentsOf: Data(words.utf8) + text)
            told.message += "; what was to be written was printed to stderr"
        }
        return told
    }

    /// Appends a whole line and flushes it.
    ///
    /// - Returns: the file; `nil` when it could not be done, and then nothing of the line is left in it.
    private func append(_ text: Data) -> String? {
        let path = directory.unwrittenPath
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let before = lseek(file, 0, SEEK_END)
        let bytes = Array(text)
        if write(file, bytes, bytes.count) == bytes.count, fsync(file) == 0 { return path }
        if before == 0 { unlink(path) } else if before > 0 { _ = ftruncate(file, before) }
        return nil
    }

    /// Writes into the room that was set aside for this, which a full disk has still.
    private func putInSpare(_ text: Data) -> String? {
        let spare = directory.sparePath
        let bytes = Array(text)
        guard bytes.count <= StateDirectory.spareBytes else { return nil }
        let file = open(spare, O_WRONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        // An earlier one stays: there is one more name, for the run halts at the first.
        let taken = access(directory.unwrittenPath, F_OK) == 0
        let path = directory.unwrittenPath + (taken ? "-\(JournalTime.milliseconds(Date()))" : "")
        guard pwrite(file, bytes, bytes.count, 0) == bytes.count, fsync(file) == 0,
            ftruncate(file, off_t(bytes.count)) == 0, rename(spare, path) == 0
        else { return nil }
        return path
    }
}

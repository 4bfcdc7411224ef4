// SPDX-License-Identifier: Apache-2.0

/// Why the journal could not be read or written.
package struct JournalError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case notFound, unknownRun, ambiguousRun, duplicateRun, invalid, locked, busy, unwritable, unreadable
            case newer, foreign, corrupt, insecure
        }
        private let kind: Kind

        /// There is no journal in the directory.
        package static let notFound = Code(kind: .notFound)
        /// No run has this id, or begins with it.
        package static let unknownRun = Code(kind: .unknownRun)
        /// Several runs begin with this text.
        package static let ambiguousRun = Code(kind: .ambiguousRun)
        /// A run with this id is there already.
        package static let duplicateRun = Code(kind: .duplicateRun)
        /// The record to be written makes no sense; nothing was written.
        package static let invalid = Code(kind: .invalid)
        /// Another controller holds the journal; see ``JournalError/holder``.
        package static let locked = Code(kind: .locked)
        /// Another process wrote for longer than we wait.
        package static let busy = Code(kind: .busy)
        /// Disk full, read-only, no permission: what was to be written is not in the journal.
        package static let unwritable = Code(kind: .unwritable)
        package static let unreadable = Code(kind: .unreadable)
        /// Written by a later version of pawl.
        package static let newer = Code(kind: .newer)
        /// A database of something else.
        package static let foreign = Code(kind: .foreign)
        /// Damaged, or changed by something else.
        package static let corrupt = Code(kind: .corrupt)
        /// Others may write to the directory, and so replace the journal.
        package static let insecure = Code(kind: .insecure)

        package var description: String { kind.rawValue }
    }

    package var code: Code
    /// What happened, in one line, with the file and the cause.
    package var message: String
    /// What to do now, in one line.
    package var remedy: String?
    /// Who holds the journal, where the code is `locked` and the holder has said so.
    package var holder: ControllerHolder?

    package init(_ code: Code, _ message: String, remedy: String? = nil, holder: ControllerHolder? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
        self.holder = holder
    }

    package var description: String { message + (remedy.map { " (\($0))" } ?? "") }
}

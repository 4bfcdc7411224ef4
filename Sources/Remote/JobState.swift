// SPDX-License-Identifier: Apache-2.0

/// What a node shows of a job.
package enum JobState: Sendable, Equatable {
    /// It never began, and never will under this id.
    case notBegun(String)
    case running
    /// Its end is on record, with everything that it printed.
    case ended(CommandResult)
    /// It began, is not there any more, and left no end: it was killed, or its node went down.
    case inDoubt(String)
}

// SPDX-License-Identifier: Apache-2.0

/// Which job: the attempt at a step of a run, or at undoing it.
///
/// A resumed controller knows it from its journal alone, so it finds the job without having been told of it.
package struct JobID: Hashable, Sendable, CustomStringConvertible {
    package var run: String
    package var step: String
    package var attempt: Int
    package var isUndo: Bool

    package init(run: String, step: String, attempt: Int, isUndo: Bool = false) {
        self.run = run
        self.step = step
        self.attempt = attempt
        self.isUndo = isUndo
    }

    /// The name of its directory below `jobs/`: `RUN.STEP.ATTEMPT`, with `.undo` behind it for an undo.
    ///
    /// No two ids share one: a run has no dot in it, and an attempt is a number.
    package var directoryName: String {
        "\(Self.prefix(ofRun: run))\(Self.word(step, plain: "@_-."))\(isUndo ? ".\(attempt).undo" : ".\(attempt)")"
    }

    /// What the names of all jobs of a run begin with, and those of no other run.
    package static func prefix(ofRun run: String) -> String { word(run, plain: "@_-") + "." }

    package var description: String { directoryName }

    /// File systems take 255 bytes for a name.
    private static let longestWord = 100

    /// The word with every byte that is not plain as `%XX`; one that is too long ends in its SHA-256 instead.
    private static func word(_ text: String, plain: String) -> String {
        let digits = Array("0123456789ABCDEF")
        var word = ""
        for byte in text.utf8 {
            let isAlphanumeric = (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            if isAlphanumeric || plain.utf8.contains(byte) {
                word.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                word += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
        guard word.utf8.count > longestWord else { return word }
        var digest = ContentDigest()
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        return String(word.prefix(longestWord - 64)) + "~" + digest.hexadecimal
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A message and what to do about it, of one host or of several that have the same trouble.
package struct CommonError: Sendable {
    private var messageText: CommonText
    private var remedyText: CommonText?

    /// - Parameters:
    ///   - message: what happened, in one line.
    ///   - remedy: what to do now, in one line.
    ///   - ownWords: words of both that are this host's alone.
    package init(_ message: String, remedy: String?, ownWords: [String] = []) {
        messageText = CommonText(message, ownWords: ownWords)
        remedyText = remedy.map { CommonText($0, ownWords: ownWords) }
    }

    package init(_ error: RemoteError) {
        self.init(error.message, remedy: error.remedy, ownWords: error.ownWords)
    }

    /// What happened.
    package var message: String { messageText.text }
    /// What to do now.
    package var remedy: String? { remedyText?.text }
    /// Whether the remedy cannot be followed as it is, because each host has words of its own there.
    package var isRemedyFolded: Bool { remedyText?.isFolded ?? false }

    /// Takes the trouble of another host, where it is the same.
    ///
    /// - Parameter other: that of one host.
    /// - Returns: whether it was taken.
    package mutating func take(_ other: CommonError) -> Bool {
        guard messageText.isLike(other.messageText) else { return false }
        switch (remedyText, other.remedyText) {
        case (nil, nil): break
        case (var mine?, let others?):
            guard mine.take(others) else { return false }
            remedyText = mine
        default: return false
        }
        return messageText.take(other.messageText)
    }
}

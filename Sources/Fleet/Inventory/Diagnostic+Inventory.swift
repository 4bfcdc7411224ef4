// SPDX-License-Identifier: Apache-2.0

extension Diagnostic {
    /// The file as a whole.
    static func of(file: String, _ summary: String, remedy: String?) -> Diagnostic {
        Diagnostic(at: SourceLocation(file: file, line: 1, column: 1), summary, remedy: remedy)
    }

    /// The same without what it quotes, for a file that was encrypted.
    var redacted: Diagnostic {
        var result = self
        result.summary = summary.replacing(/`[^`]*`/, with: "`\(Secret(summary))`")
        return result
    }

    /// A group under itself.
    static func ancestorOfItself(child: String, parent: String, at location: SourceLocation) -> Diagnostic {
        Diagnostic(
            at: location,
            child == parent
                ? "the group \(child) is a child of itself"
                : "the group \(child) cannot be a child of \(parent), which is already under \(child)",
            remedy: "remove it from the children of \(parent)"
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

extension Diagnostic {
    /// A host that one group lists twice; the second entry would silently override or repeat the first.
    static func listedTwice(host: String, group: String, first: SourceLocation, second: SourceLocation) -> Diagnostic {
        Diagnostic(
            at: second,
            "the host \(host) is listed twice in the group \(group), first at \(first)",
            remedy: "remove one of the two"
        )
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

// SPDX-License-Identifier: Apache-2.0

/// Parts of the path of a file, cut at its slashes and nothing else.
package enum FilePath {
    /// The folder that the file is in, empty for a name alone.
    ///
    /// `NSString.deletingLastPathComponent` ends the process on Linux where the path is one character.
    package static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        let folder = path[..<slash]
        let end = folder.lastIndex { $0 != "/" }
        return end.map { String(folder[...$0]) } ?? "/"
    }
}

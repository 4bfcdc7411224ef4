// SPDX-License-Identifier: Apache-2.0

import Yams

/// Lets a document with duplicate keys be parsed to its end, so that all problems are reported at once.
///
/// Yams refuses a mapping with a duplicate key and says where the first of them stands. That key is given a marker that
/// no file holds, and the document is parsed again; the tree then has both places, and the marker is taken off.
struct YAMLDuplicates {
    /// Characters of the private use area; libyaml accepts them in plain and quoted scalars.
    private static let open: Unicode.Scalar = "\u{F0F0}"
    private static let close: Unicode.Scalar = "\u{F0F1}"
    private static let most = 200

    private(set) var text: String
    private var markers: [(line: Int, column: Int, length: Int)] = []

    init(text: String) {
        self.text = text
    }

    /// Marks the key that stands there.
    ///
    /// - Returns: false where that cannot help, so that the parser's own message is all there is.
    mutating func setAside(at mark: Mark) -> Bool {
        guard markers.count < Self.most, mark.line > 0, !text.unicodeScalars.contains(Self.open) || !markers.isEmpty,
            var index = index(of: mark)
        else { return false }
        var column = mark.column
        let scalars = text.unicodeScalars
        if scalars[index] == "\"" || scalars[index] == "'" {
            index = scalars.index(after: index)
            column += 1
        }
        let marker = String(Self.open) + String(markers.count) + String(Self.close)
        text.unicodeScalars.insert(contentsOf: marker.unicodeScalars, at: index)
        markers.append((mark.line, column, marker.unicodeScalars.count))
        return true
    }

    /// The key without its marker.
    func original(of key: String) -> String {
        guard !markers.isEmpty, key.unicodeScalars.first == Self.open,
            let end = key.unicodeScalars.firstIndex(of: Self.close)
        else { return key }
        return String(key.unicodeScalars[key.unicodeScalars.index(after: end)...])
    }

    /// The place in the file as it was written.
    func restored(_ mark: TextPosition) -> TextPosition {
        var column = mark.column
        for marker in markers.reversed() where marker.line == mark.line && marker.column < column {
            column -= min(marker.length, column - marker.column)
        }
        return TextPosition(line: mark.line, column: column)
    }

    private func index(of mark: Mark) -> String.UnicodeScalarView.Index? {
        let scalars = text.unicodeScalars
        var index = scalars.startIndex
        var line = 1
        while line < mark.line {
            guard let end = scalars[index...].firstIndex(where: YAMLSyntax.isLineBreak) else { return nil }
            index = scalars.index(after: end)
            if scalars[end] == "\r", index < scalars.endIndex, scalars[index] == "\n" {
                index = scalars.index(after: index)
            }
            line += 1
        }
        index = scalars.index(index, offsetBy: mark.column - 1, limitedBy: scalars.endIndex) ?? scalars.endIndex
        return index < scalars.endIndex ? index : nil
    }
}

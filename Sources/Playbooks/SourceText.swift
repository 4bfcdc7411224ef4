// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

/// Reads files that people wrote.
enum SourceText {
    /// Far above any real file; what is greater is another file given by mistake.
    private static let mostBytes = 4 << 20

    /// The file's text; the noun is what the file is called in messages.
    static func read(_ path: String, what noun: String) throws(DiagnosticsError) -> String {
        var isDirectory: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) else {
            throw problem(path, "there is no such \(noun)")
        }
        guard !isDirectory.boolValue else { throw problem(path, "this is a directory, not a \(noun)") }
        let data: Data
        do {
            data = try Data(contentsOf: URL(filePath: path))
        } catch {
            let isReadable = FileManager.default.isReadableFile(atPath: path)
            throw problem(
                path,
                isReadable ? "the \(noun) cannot be read: \(error)" : "no permission to read the \(noun)"
            )
        }
        guard data.count <= mostBytes else { throw problem(path, "too large for a \(noun): \(data.count) bytes") }
        if let text = String(validating: data, as: UTF8.self) { return text }
        throw DiagnosticsError([
            Diagnostic(at: firstInvalid(in: data, path: path), "not UTF-8", remedy: "save the \(noun) as UTF-8")
        ])
    }

    /// The order of a file, for diagnostics that were found in another one.
    static func precedes(_ left: Diagnostic, _ right: Diagnostic) -> Bool {
        guard let left = left.location, let right = right.location else { return left.location == nil }
        return (left.file, left.line, left.column) < (right.file, right.line, right.column)
    }

    private static func problem(_ path: String, _ summary: String) -> DiagnosticsError {
        DiagnosticsError([Diagnostic(at: SourceLocation(file: path, line: 1, column: 1), summary)])
    }

    private static func firstInvalid(in data: Data, path: String) -> SourceLocation {
        var line = 1
        for bytes in data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            guard String(validating: bytes, as: UTF8.self) == nil else {
                line += 1
                continue
            }
            let valid = (0..<bytes.count).last { String(validating: bytes.prefix($0), as: UTF8.self) != nil } ?? 0
            let column = String(decoding: bytes.prefix(valid), as: UTF8.self).unicodeScalars.count + 1
            return SourceLocation(file: path, line: line, column: column)
        }
        return SourceLocation(file: path, line: 1, column: 1)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// SHA-256 of content that comes in pieces, written as `sha256sum` writes it.
package struct ContentDigest: Sendable {
    private var hash = SHA256()

    package init() {}

    /// Adds the next piece.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    /// The digest of all pieces so far, in lower case.
    package var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: hash.finalize().flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }

    /// The digest of a text.
    package static func of(_ text: String) -> String {
        var digest = ContentDigest()
        var text = text
        text.withUTF8 { digest.update(UnsafeRawBufferPointer($0)) }
        return digest.hexadecimal
    }

    /// What was read of a file.
    package struct Content: Sendable {
        /// Of the bytes that were read; goes on with those that follow.
        package var digest: ContentDigest
        /// In bytes.
        package var size: Int
    }

    /// The digest and the size of a local file or of its beginning, read in pieces.
    ///
    /// Blocks while it reads.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - count: how many bytes of it at most; nil for all.
    /// - Returns: what was read.
    /// - Throws: when the file cannot be read.
    package static func ofFile(_ file: URL, first count: Int? = nil) throws -> Content {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        var content = Content(digest: ContentDigest(), size: 0)
        while let piece = try handle.read(upToCount: min(1 << 20, (count ?? .max) - content.size)), !piece.isEmpty {
            piece.withUnsafeBytes { content.digest.update($0) }
            content.size += piece.count
        }
        return content
    }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// SHA-256 of content that comes in pieces, written as `sha256sum` writes it.
package struct ContentDigest {
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

    /// The digest and the size of a local file, read in pieces.
    ///
    /// Blocks while it reads.
    package static func ofFile(_ file: URL) throws -> (digest: String, size: Int) {
        let handle = try FileHandle(forReadingFrom: file)
        defer { try? handle.close() }
        var digest = ContentDigest()
        var size = 0
        while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
            piece.withUnsafeBytes { digest.update($0) }
            size += piece.count
        }
        return (digest.hexadecimal, size)
    }
}

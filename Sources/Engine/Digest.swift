// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// SHA-256 in lower-case hex, the form in which plans, journals and manifests name contents.
enum Digest {
    static func sha256(_ text: String) -> String {
        SHA256.hash(data: Data(text.utf8)).map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// Of a value in JSON with sorted keys, so that equal values have equal digests.
    static func sha256(json value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return sha256(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

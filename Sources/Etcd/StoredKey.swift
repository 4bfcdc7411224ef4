// SPDX-License-Identifier: Apache-2.0

import Crypto

/// A key with its value as either store holds it.
///
/// Its value is compared and digested, and never shown.
package struct StoredKey: Sendable, Hashable {
    package var value: [UInt8]
    /// `createdIndex` in v2, `create_revision` in v3.
    package var created: UInt64
    /// `modifiedIndex` in v2, `mod_revision` in v3.
    package var modified: UInt64
    /// A v2 key with a TTL of its own.
    package var expires: Bool

    package init(value: [UInt8], created: UInt64, modified: UInt64, expires: Bool = false) {
        self.value = value
        self.created = created
        self.modified = modified
        self.expires = expires
    }

    /// What may be said of the value.
    package var digest: String {
        let hash = SHA256.hash(data: value)
        return "sha256:" + hash.prefix(6).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }

    package static func == (left: StoredKey, right: StoredKey) -> Bool {
        left.modified == right.modified && left.created == right.created && left.value == right.value
    }
}

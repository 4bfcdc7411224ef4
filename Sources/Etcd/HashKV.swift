// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The hash of a member's v3 keys up to a revision: `etcdctl endpoint hashkv -w json`, since 3.3.
///
/// Two members hold the same data only when all three are equal: the hash is taken from the compacted revision on.
package struct HashKV: Sendable, Hashable, CustomStringConvertible {
    package var hash: UInt32
    /// The revision that was asked for, or the member's newest.
    package var revision: Int64
    /// -1 for a store that was never compacted.
    package var compactRevision: Int64

    package init(hash: UInt32, revision: Int64, compactRevision: Int64) {
        self.hash = hash
        self.revision = revision
        self.compactRevision = compactRevision
    }

    /// With the revision of `--rev` where one was given; the header carries the member's newest revision even then.
    package init?(json: ArraySlice<UInt8>, asked: Int64? = nil) {
        guard let listed = decodeJSON([Listed].self, json), listed.count == 1 else { return nil }
        let raw = listed[0].hashKV
        self.init(
            hash: raw.hash ?? 0,
            revision: asked ?? raw.header.revision,
            compactRevision: raw.compactRevision?.signed ?? 0
        )
    }

    private struct Listed: Decodable {
        struct Raw: Decodable {
            var header: ResponseHeader
            var hash: UInt32?
            var compactRevision: LenientInteger?
            enum CodingKeys: String, CodingKey {
                case header, hash
                case compactRevision = "compact_revision"
            }
        }
        var hashKV: Raw
        enum CodingKeys: String, CodingKey { case hashKV = "HashKV" }
    }

    package var description: String { "hash \(hash) at revision \(revision), compacted at \(compactRevision)" }
}

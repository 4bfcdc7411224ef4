// SPDX-License-Identifier: Apache-2.0

/// `etcdctl snapshot status FILE -w json`.
package struct SnapshotStatus: Sendable, Hashable {
    package var revision: Int64
    /// Keys of all buckets, not only of users' keys.
    package var totalKeys: Int
    package var totalSize: Int64

    package init?(json: ArraySlice<UInt8>) {
        struct Raw: Decodable {
            var revision: LenientInteger
            var totalKey: Int
            var totalSize: LenientInteger
        }
        guard let raw = decodeJSON(Raw.self, json) else { return nil }
        revision = raw.revision.signed
        totalKeys = raw.totalKey
        totalSize = raw.totalSize.signed
    }
}

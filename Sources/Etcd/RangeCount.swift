// SPDX-License-Identifier: Apache-2.0

/// The size of a v3 store: an answer to a range with a limit or `count_only`.
package struct RangeCount: Sendable, Hashable {
    package var revision: Int64
    package var count: Int

    package init?(json: ArraySlice<UInt8>) {
        struct Raw: Decodable {
            var header: ResponseHeader
            var count: LenientInteger?
        }
        guard let raw = decodeJSON(Raw.self, json) else { return nil }
        revision = raw.header.revision
        count = Int(raw.count?.signed ?? 0)
    }
}

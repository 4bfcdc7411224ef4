// SPDX-License-Identifier: Apache-2.0

/// `GET /version`.
package struct VersionAnswer: Sendable, Hashable {
    package var server: EtcdVersion
    /// The version that all members agree to speak; `nil` while it is not decided.
    package var cluster: EtcdVersion?

    package init?(json: ArraySlice<UInt8>) {
        guard let raw = decodeJSON([String: String].self, json),
            let server = raw["etcdserver"].flatMap({ EtcdVersion($0) })
        else { return nil }
        self.server = server
        cluster = raw["etcdcluster"].flatMap { EtcdVersion($0) }
    }
}

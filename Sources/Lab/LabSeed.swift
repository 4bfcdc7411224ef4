// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What to write to the v2 store of a lab, through the v2 API as a client would.
package struct LabSeed: Sendable, Hashable {
    /// How much was written.
    package struct Written: Sendable, Hashable {
        /// Keys with a value that the v2 API lists, those with a TTL among them.
        package var values: Int
        /// Keys below `/_hidden`, which the v2 API does not list.
        package var hidden: Int
    }

    /// Keys in `/bench`, a hundred to a directory.
    package var keys: Int
    /// Bytes of the value of each key in `/bench`.
    package var valueSize: Int
    /// Also write keys of every kind that a migration has to get right; see ``SeedRequest/kinds``.
    package var kinds: Bool
    /// Keys in `/ttl` that expire.
    package var ttlKeys: Int
    package var ttlSeconds: Int
    /// Keys in `/_hidden`, which a migration drops.
    package var hiddenKeys: Int

    package init(
        keys: Int = 0,
        valueSize: Int = 200,
        kinds: Bool = true,
        ttlKeys: Int = 0,
        ttlSeconds: Int = 3600,
        hiddenKeys: Int = 0
    ) {
        self.keys = keys
        self.valueSize = valueSize
        self.kinds = kinds
        self.ttlKeys = ttlKeys
        self.ttlSeconds = ttlSeconds
        self.hiddenKeys = hiddenKeys
    }

    /// Writes it all, and throws unless every single write was acknowledged.
    @discardableResult
    package func write(to state: LabState) async throws -> Written {
        guard keys >= 0, valueSize >= 0, ttlKeys >= 0, ttlSeconds > 0, hiddenKeys >= 0 else {
            throw LabError(.options, "a seed of \(keys) keys of \(valueSize) bytes", remedy: "numbers are from 0")
        }
        guard let node = state.nodes.first else { throw LabError(.options, "a lab without nodes cannot be seeded") }
        let scratch = "\(state.directory)/seed-\(UUID().uuidString)"
        try state.layout.makeDirectory(scratch)
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let writer = SeedWriter(
            base: "\(node.clientURL)/v2/keys",
            scratch: scratch,
            layout: state.layout,
            files: state.certificates
        )

        var values = 0
        if kinds {
            // One after the other: some change or delete what an earlier one wrote.
            try await writer.write(SeedRequest.kinds, connections: 1)
            values += SeedRequest.valuesOfKinds
        }
        var first = 0
        while first < keys {
            let next = min(first + 10_000, keys)
            try await writer.write((first..<next).map { .bench($0, size: valueSize) }, connections: 64)
            first = next
        }
        try await writer.write((0..<ttlKeys).map { .ttl($0, seconds: ttlSeconds) }, connections: 16)
        try await writer.write((0..<hiddenKeys).map { .hidden($0) }, connections: 16)
        return Written(values: values + keys + ttlKeys, hidden: hiddenKeys)
    }
}

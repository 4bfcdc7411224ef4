// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// One write to a member's store, as the store itself remembers it; of values only digests.
package struct StoreChange: Sendable, Hashable {
    /// What became of the key.
    package enum Kind: String, Sendable {
        case added, changed, removed, expired
    }

    package var kind: Kind
    package var key: String
    /// The index or revision of the write.
    package var index: UInt64
    /// The index of the write before, where there was one.
    package var previous: UInt64?
    /// Of the value before and after; `nil` where there is none.
    package var oldDigest: String?
    package var newDigest: String?
    package var isDirectory = false

    /// For people, on one line.
    package var words: String {
        let place = isDirectory ? key + "/" : key
        let before = oldDigest.map { "old \($0)" + (previous.map { " of index \($0)" } ?? "") }
        let after = newDigest.map { "new \($0)" }
        let digests = [before, after].compactMap(\.self).map { ", " + $0 }.joined()
        return "\(place): \(kind.rawValue) at index \(index)\(digests)"
    }
}

/// The writes since an index.
package struct StoreChanges: Sendable, Hashable {
    package var changes: [StoreChange]
    /// The store does not remember as far back.
    package var isCleared = false
    /// There are more than were asked for.
    package var hasMore = false

    /// Reads what ``EtcdSettings/changesScript`` and ``EtcdSettings/v3ChangesScript`` print.
    init(report: String, limit: Int) {
        changes = []
        for line in report.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1).map(String.init)
            let rest = words.count > 1 ? words[1] : ""
            switch words.first ?? "" {
            case "cleared": isCleared = true
            case "event": if let change = Self.change(rest) { changes.append(change) }
            case "key": edit { $0.key = decodeJSON(String.self, Array(rest.utf8)[...]) ?? rest }
            case "key64":
                edit { $0.key = Data(base64Encoded: rest).map { String(decoding: $0, as: UTF8.self) } ?? rest }
            case "new": edit { $0.newDigest = "sha256:" + rest.prefix(12) }
            case "old": edit { $0.oldDigest = "sha256:" + rest.prefix(12) }
            default: break
            }
        }
        hasMore = changes.count > limit
        changes = Array(changes.prefix(limit))
    }

    private mutating func edit(_ body: (inout StoreChange) -> Void) {
        if !changes.isEmpty { body(&changes[changes.count - 1]) }
    }

    /// `ACTION INDEX PREVIOUS KIND`; an index of 0 is none.
    private static func change(_ text: String) -> StoreChange? {
        let words = text.split(separator: " ")
        guard words.count == 4, let index = UInt64(words[1]), let previous = UInt64(words[2]) else { return nil }
        let kind: StoreChange.Kind =
            switch words[0] {
            case "delete", "compareAndDelete": .removed
            case "expire": .expired
            default: previous == 0 ? .added : .changed
            }
        return StoreChange(
            kind: kind,
            key: "",
            index: index,
            previous: previous == 0 ? nil : previous,
            isDirectory: words[3] == "dir"
        )
    }
}

extension ClusterProbe {
    /// The writes to a member's own v2 store from an index on; they are digested on the node.
    package static func v2Changes(
        _ node: EtcdNode,
        from index: UInt64,
        limit: Int = 10
    ) async throws(EtcdProbeError) -> StoreChanges {
        try await changes(node, node.settings.changesScript(from: index, limit: limit), "name v2 writes", limit)
    }

    /// The same of its v3 store, from a revision on.
    package static func v3Changes(
        _ node: EtcdNode,
        from revision: Int64,
        limit: Int = 10
    ) async throws(EtcdProbeError) -> StoreChanges {
        try await changes(node, node.settings.v3ChangesScript(from: revision), "name v3 writes", limit)
    }

    private static func changes(
        _ node: EtcdNode,
        _ shell: String,
        _ label: String,
        _ limit: Int
    ) async throws(EtcdProbeError) -> StoreChanges {
        var script = ProbeScript(node.settings)
        script.ask("changes", shell)
        let answer = try await script.run(on: node, label: label, timeout: .seconds(60))
        return StoreChanges(report: String(decoding: try answer.body("changes"), as: UTF8.self), limit: limit)
    }
}

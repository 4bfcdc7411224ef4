// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A write to the v3 store that happens only where a key is as it was seen.
///
/// It is sent through the JSON gateway, where every key and value is base64, so that any bytes arrive as they are.
package struct V3Transaction: Sendable, Hashable {
    package typealias Bytes = [UInt8]

    package enum Condition: Sendable, Hashable {
        /// No such key is there.
        case absent
        /// The key is there, and was written last at this revision.
        case unchanged(since: UInt64)
    }

    package enum Change: Sendable, Hashable {
        /// With a lease that the key goes with, where one is given.
        case put(value: Bytes, lease: Int64?)
        case delete
    }

    package var key: Bytes
    package var condition: Condition
    package var change: Change

    package init(_ key: Bytes, if condition: Condition, _ change: Change) {
        self.key = key
        self.condition = condition
        self.change = change
    }

    /// How much of a request it takes, nearly.
    var size: Int {
        guard case .put(let value, _) = change else { return key.count * 2 + 200 }
        return (key.count * 2 + value.count) * 4 / 3 + 250
    }

    /// The body of `kv/txn`.
    var json: String {
        let name = Self.base64(key)
        let compare =
            switch condition {
            case .absent: #"{"key":"\#(name)","target":"CREATE","result":"EQUAL","create_revision":"0"}"#
            case .unchanged(let revision):
                #"{"key":"\#(name)","target":"MOD","result":"EQUAL","mod_revision":"\#(revision)"}"#
            }
        let operation: String
        switch change {
        case .put(let value, let lease):
            let bound = lease.map { #","lease":"\#($0)""# } ?? ""
            operation = #"{"request_put":{"key":"\#(name)","value":"\#(Self.base64(value))"\#(bound)}}"#
        case .delete: operation = #"{"request_delete_range":{"key":"\#(name)"}}"#
        }
        return #"{"compare":[\#(compare)],"success":[\#(operation)]}"#
    }

    static func base64(_ bytes: Bytes) -> String { Data(bytes).base64EncodedString() }

    /// The transactions as requests.
    ///
    /// Many go into one transaction without a condition, each with its own within it: etcd knows that since 3.3 (#7857).
    /// `--max-txn-ops` is 128 and `--max-request-bytes` 1.5 MiB unless set otherwise.
    static func requests(_ all: [V3Transaction], nested: Bool) -> [GatewayRequest] {
        guard nested else { return all.map { GatewayRequest("kv/txn", $0.json, changes: 1) } }
        var requests: [GatewayRequest] = []
        var batch: [V3Transaction] = []
        var size = 0
        func flush() {
            if batch.isEmpty { return }
            let parts = batch.map { #"{"request_txn":\#($0.json)}"# }.joined(separator: ",")
            requests.append(GatewayRequest("kv/txn", #"{"success":[\#(parts)]}"#, changes: batch.count))
            (batch, size) = ([], 0)
        }
        for one in all {
            if batch.count == 60 || size + one.size > 400_000 { flush() }
            batch.append(one)
            size += one.size
        }
        flush()
        return requests
    }
}

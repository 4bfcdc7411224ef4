// SPDX-License-Identifier: Apache-2.0

/// One request that changes something through a member's JSON gateway.
package struct GatewayRequest: Sendable, Hashable {
    /// Behind the gateway's prefix, as `kv/txn`.
    var path: String
    var body: String
    /// How many transactions it carries.
    var changes: Int

    init(_ path: String, _ body: String, changes: Int = 0) {
        self.path = path
        self.body = body
        self.changes = changes
    }
}

// SPDX-License-Identifier: Apache-2.0

import Remote

/// Reads of single keys, whose names are no words of a command line either.
extension V3Writer {
    /// Asks the member's own store for keys, many in one request.
    package func reads(_ names: [KeyListing.Name]) -> [GatewayRequest] {
        stride(from: 0, to: names.count, by: 20).map { start in
            let ranges = names[start..<min(start + 20, names.count)].map { name in
                #"{"request_range":{"key":"\#(V3Transaction.base64(name))","serializable":true}}"#
            }
            return GatewayRequest("kv/txn", #"{"success":[\#(ranges.joined(separator: ","))]}"#)
        }
    }

    /// Those of the keys that are there.
    ///
    /// - Throws: when the member did not answer all requests.
    package func keys(
        _ requests: [GatewayRequest],
        _ result: CommandResult
    ) throws(EtcdProbeError) -> KeyListing {
        var found = KeyListing([:])
        for body in try bodies(of: requests, result) {
            guard let some = KeyListing(v3Responses: Array(body.utf8)[...]) else {
                throw EtcdProbeError(.unparsable, host: name, "etcd's answer to a read is not understood")
            }
            found.keys.merge(some.keys) { $1 }
        }
        return found
    }
}

// SPDX-License-Identifier: Apache-2.0

/// `GET /health`.
///
/// Says nothing of members that hold different data.
package struct HealthAnswer: Sendable, Hashable {
    package var isHealthy: Bool
    /// Since 3.5.
    package var reason: String

    package init?(json: ArraySlice<UInt8>) {
        struct Raw: Decodable {
            var health: LenientBoolean
            var reason: String?
        }
        guard let raw = decodeJSON(Raw.self, json) else { return nil }
        isHealthy = raw.health.value
        reason = raw.reason ?? ""
    }
}

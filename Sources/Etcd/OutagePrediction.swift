// SPDX-License-Identifier: Apache-2.0

/// How long a run will take one member out of service, from what its rehearsal took.
///
/// The time runs from the order to stop to the first healthy answer. In it a run gives ``commands`` remote commands, one
/// after the other; takes the backup; and starts etcd, which replays its WAL. What else there is, as the stop of the unit
/// and the member's way back into its cluster, is ``settling``, whatever the size of the data.
package struct OutagePrediction: Sendable, Hashable, Codable {
    /// Remote commands between the order to stop and the first healthy answer.
    package static let commands = 5.0
    /// From runs on a lab of three members on a two-core machine that had other work, too (`scripts/bench-rehearse`).
    package static let settling = 0.7

    /// With the copies that `etcd_prepare` makes, in seconds.
    package var prepared: Double
    /// Migrated after its stop, in seconds.
    package var inPlace: Double

    /// - Parameters:
    ///   - times: what the parts of the rehearsal took.
    ///   - command: what a remote command takes that does nothing, in seconds.
    package init(_ times: RehearsalOutcome.Times, command: Double) {
        prepared = Self.commands * command + times.backup + (times.start ?? 0) + Self.settling
        inPlace = prepared + times.migrate
    }
}

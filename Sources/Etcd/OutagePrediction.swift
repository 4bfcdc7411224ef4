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

    /// With what `etcd_prepare` and `backup_ahead` do beforehand, in seconds.
    package var prepared: Double
    /// Backed up and migrated after its stop, in seconds.
    package var inPlace: Double

    /// - Parameters:
    ///   - times: what the parts of the rehearsal took.
    ///   - command: what a remote command takes that does nothing, in seconds.
    package init(_ times: RehearsalOutcome.Times, command: Double) {
        let fixed = Self.commands * command + (times.start ?? 0) + Self.settling
        prepared = fixed + times.backup
        inPlace = fixed + times.wholeBackup + times.migrate
    }
}

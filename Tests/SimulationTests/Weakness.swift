// SPDX-License-Identifier: Apache-2.0

/// A safety that the world leaves out, so that a test can see the simulation notice what then goes wrong.
enum Weakness: String, CaseIterable, Sendable {
    /// A mutating command does not look at the lock of its node.
    case skipFence
    /// A mutating command looks at the lock before its replica is written, and not once more behind it.
    case fenceBeforeReplicaAlone
    /// A job does not look at the lock once more when its directory is on the disk.
    case jobBehindTheFence
    /// A command does not look whether its step was taken back while it waited for the disk.
    case skipTurns
    /// The lock is gone when nobody has renewed it for a while.
    case lockExpires
    /// A lock counts on a minority, too.
    case lockWithoutMajority
    /// A quorum is counted without looking at who holds the lock of the other members.
    case quorumIgnoresLocks
    /// `etcdctl migrate` is run again on what an earlier one left.
    case migrateAgainWithoutRestore
    /// A command whose end was not seen counts as one that ended with 0.
    case trustLostStatus
    /// The exit code and the closing line of `etcdctl migrate` are enough.
    case skipOfflineGate
    /// A stop counts however it ended.
    case skipCleanStopProof
    /// The gates do not compare the members' keys.
    case skipFingerprintGate
    /// The end is claimed without comparing the members.
    case claimWithoutHash
    /// A resumed run takes what it does not know for not begun.
    case resumeWithoutLooking
    /// A resumed run takes its journal for the truth, whatever the nodes say.
    case resumeWithStaleJournal
    /// Replicas are told apart by their sequence alone, as if nobody else could have gone on.
    case replicasBySequenceAlone
    /// A run is resumed though not every node could be asked for its replica.
    case resumeWithSilentNode
    /// The intent is written to the journal when the effect has ended.
    case intentAfterEffect
    /// What holds a stopped member down is forgotten by a reboot of its node.
    case holdLostAtReboot
    /// A rollback does not ask whether clients have written since.
    case rollbackOverWrites
}

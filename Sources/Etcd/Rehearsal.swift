// SPDX-License-Identifier: Apache-2.0

import Remote

/// A migration that is made on a copy of a running member and thrown away: nothing of the member is touched.
///
/// Only WAL and snapshots are copied, not the db. So that members can be compared while somebody writes, each copy is
/// cut behind the same raft index: what follows it is not there for `etcdctl migrate`, and the results must be equal
/// whenever the copies were taken.
///
/// Then etcd itself is started on the result, in a network namespace without any network, on sockets in the scratch
/// directory: it proves that etcd starts on it, takes the time of that, and writes a snapshot of the v2 store, in which
/// everything stands that a migration drops.
package struct Rehearsal: Sendable {
    /// Stands where a run's name would: no run is called so, and the next rehearsal and the next preparation remove what
    /// is left of one.
    package static let run = "rehearsal"

    /// The refusal of a node on whose cluster a run has begun.
    package static let runHasBegun = "a run has begun on this cluster"

    package var settings: EtcdSettings
    package var state: NodeState
    /// The directory for the scratch directory; `nil` for the one that the data directory is in.
    package var scratch: String?
    /// The last raft entry that the copy may hold.
    package var index: UInt64
    package var noTTL: Bool
    /// A program on the node that every key goes through.
    package var transformer: String?
    /// How long all of it may take on one member.
    package var timeout: Duration

    package init(
        settings: EtcdSettings,
        state: NodeState,
        scratch: String?,
        index: UInt64,
        noTTL: Bool,
        transformer: String? = nil,
        timeout: Duration
    ) {
        self.settings = settings
        self.state = state
        self.scratch = scratch
        self.index = index
        self.noTTL = noTTL
        self.transformer = transformer
        self.timeout = timeout
    }

    /// The command that rehearses; ``RehearsalOutcome`` reads its answer.
    ///
    /// It is no job: its scratch directory is to be gone when nobody waits for it any more. So it says something every
    /// second, and ends when that cannot be said.
    package func command() -> RemoteCommand {
        let seconds = timeout.components.seconds
        let backup = ColdBackup.Request(
            source: "data",
            walDir: nil,
            destination: "backup",
            host: "host",
            run: Self.run,
            keep: false
        )
        let values = NodeReport.assignments([
            "DATA": settings.dataDir, "WALDIR": settings.walDir ?? "", "RUN": Self.run, "SCRATCH": scratch ?? "",
            "ETCDCTL": settings.etcdctl, "AS": settings.user, "NOTTL": noTTL ? "yes" : "",
            "TRANSFORMER": transformer ?? "",
            "INDEX": String(index), "LIMIT": String(max(1, seconds - min(10, seconds / 4))), "PATIENCE": "0",
            "BACKUPS": settings.backupDir, "BACKUP_SCRIPT": ColdBackup.takeCommand(backup, timeout: timeout).script,
            "AHEAD_SCRIPT": BackupAhead.takeCommand(backup, timeout: timeout).script, "LOSSES": RehearsalScript.losses,
            "RUN_HAS_BEGUN": Self.runHasBegun,
        ])
        return RemoteCommand(
            "rehearse the migration of \(settings.dataDir)",
            script: EtcdSettings.scriptPrelude + NodeReport.prelude + values + state.shell + ColdBackup.shellFunctions
                + Transformer.shellFunctions + MigrationCopy.shellFunctions
                + "answers() { \(settings.commandLine(.endpointStatus)); }\n"
                + RehearsalScript.whole,
            effect: .mutating,
            timeout: timeout + .seconds(15)
        )
    }
}

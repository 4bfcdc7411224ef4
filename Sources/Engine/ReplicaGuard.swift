// SPDX-License-Identifier: Apache-2.0

import Journal
import Remote

/// Puts the run's replica on the node in front of each command that changes it, in the same remote command.
///
/// A step that cannot be put on record there is not begun. To take a step back is more urgent than its record: on a node
/// whose disk is full, etcd must be startable again.
struct ReplicaGuard: MutationGuard {
    let ledger: ReplicaLedger
    let script: ReplicaScript
    let place: ReplicaLedger.Place
    let step: String
    let attempt: Int
    /// A command that was given up while it waited for the disk must not begin behind one of a later turn.
    let turn: Int
    let isUndo: Bool

    func prologue(for command: RemoteCommand) async throws(RemoteError) -> String {
        do {
            switch try await ledger.text(
                for: place,
                isUndo ? .undoing : .performing,
                step: step,
                attempt: attempt
            ) {
            case .whole(let text): return script.replacing(with: text, now, mustSucceed: !isUndo)
            case .more(let text): return script.appending(text, now, mustSucceed: !isUndo)
            }
        } catch {
            if isUndo { return ReplicaScript.nothing }
            throw RemoteError(
                .unrecorded,
                host: place.host,
                "\(command.label): not begun, because the run cannot be put on record on the node: \(error.message)",
                remedy: error.remedy
            )
        }
    }

    func lastWord(for command: RemoteCommand) -> String { ReplicaScript.demandTurn }

    private var now: ReplicaScript.Turn { ReplicaScript.Turn(run: ledger.run, step: step, number: turn) }

    func epilogue(for command: RemoteCommand) async -> String { script.ending }

    /// What was taken back may have been so without a record.
    func passed(_ command: RemoteCommand) async {
        if !isUndo { await ledger.confirm(place) }
    }
}

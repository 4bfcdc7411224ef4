// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A node that can be asked and not changed.
///
/// Wrapped around every host while a plan is made, so that the promise that planning changes nothing is enforced where
/// commands leave, and not left to each action.
package struct ReadOnlyHost: RemoteHost {
    private let host: any RemoteHost

    package init(_ host: any RemoteHost) { self.host = host }

    package var name: String { host.name }

    /// Refuses a mutating command without sending anything.
    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        guard command.effect == .readOnly else { throw refusal(command.label) }
        return try await host.run(command)
    }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        throw refusal("upload to \(transfer.path)")
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        try await host.download(transfer)
    }

    package func elevated(as user: String) -> any RemoteHost { ReadOnlyHost(host.elevated(as: user)) }

    package func close() async { await host.close() }

    private func refusal(_ what: String) -> RemoteError {
        RemoteError(.refused, host: name, "\(what): would change the node, in a phase that only reads; not sent")
    }
}

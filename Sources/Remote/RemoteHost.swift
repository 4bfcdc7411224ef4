// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A node that commands can be run on.
///
/// The seam between what pawl decides and how it reaches the node.
///
/// Implementations: `SSHHost` over libssh2, ``ReadOnlyHost`` around any other, and scripted hosts in tests.
/// All pass the same conformance suite.
package protocol RemoteHost: Sendable {
    /// The name in the inventory.
    var name: String { get }

    /// Runs a command to its end, connecting first where there is no connection yet.
    ///
    /// - Returns: the result of a command whose end was seen, whatever its exit code.
    /// - Throws: ``RemoteError``; with `inDoubt` the command may have run in part or in whole.
    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult

    /// Writes a local file to the node: beside the path first, verified by SHA-256, then renamed into place.
    ///
    /// What had arrived when the connection was lost is left beside the path, as `PATH.part`, for the next try.
    func upload(_ transfer: FileTransfer) async throws(RemoteError)

    /// Reads a file of the node into a local file (0600), beside its place first, verified by SHA-256.
    ///
    /// What had arrived when the connection was lost is left there, as `FILE.part`, for the next try.
    func download(_ transfer: FileTransfer) async throws(RemoteError)

    /// The same node, with every command run as this user. Privilege is part of the handle, not of each call.
    func elevated(as user: String) -> any RemoteHost

    /// Ends the connection. Later commands connect anew.
    func close() async
}

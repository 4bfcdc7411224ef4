// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// A booted container of `systemd-nspawn` as a node: scripts run in all namespaces of its init, by `nsenter`.
///
/// It needs root on this machine and sees what a script over SSH would see: the node's own systemd, processes and
/// mounts.
package struct NamespaceHost: RemoteHost {
    package var name: String
    /// The node's init, as this machine counts processes.
    package var leader: Int32
    private let here: LocalHost

    package init(name: String, leader: Int32) {
        self.name = name
        self.leader = leader
        here = LocalHost(name: name)
    }

    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        var outer = command
        outer.script = "exec nsenter -t \(leader) -a /bin/sh -c " + ShellQuoting.quote(command.script)
        return try await here.run(outer)
    }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        try await here.upload(inside(transfer))
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        try await here.download(inside(transfer))
    }

    private func inside(_ transfer: FileTransfer) -> FileTransfer {
        var inside = transfer
        inside.path = "/proc/\(leader)/root\(transfer.path)"
        return inside
    }

    package func elevated(as user: String) -> any RemoteHost { self }
    package func close() async {}
}

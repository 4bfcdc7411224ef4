// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A file on its way from this machine to a node, or back.
package struct FileTransfer: Sendable {
    /// Gets how many bytes are over, and of how many where that is known; the last call is not always made.
    package typealias Progress = @Sendable (_ done: Int, _ total: Int?) -> Void

    /// The file on this machine.
    package var file: URL
    /// Its path on the node.
    package var path: String
    /// The permissions that it gets on the node; on this machine it gets 0600.
    package var mode: Int
    package var timeout: Duration
    /// Whether to go on where an earlier transfer of the same file was cut off.
    ///
    /// Costs a look for what is left of that; what is of another file is begun anew.
    package var goesOn: Bool
    package var onProgress: Progress?

    /// Describes a transfer; nothing is done yet.
    package init(
        _ file: URL,
        _ path: String,
        mode: Int = 0o600,
        timeout: Duration,
        goesOn: Bool = false,
        onProgress: Progress? = nil
    ) {
        self.file = file
        self.path = path
        self.mode = mode
        self.timeout = timeout
        self.goesOn = goesOn
        self.onProgress = onProgress
    }
}

extension RemoteHost {
    /// Writes a local file to the node, from its beginning.
    ///
    /// - Throws: as ``upload(_:)`` does.
    package func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) {
        try await upload(FileTransfer(file, path, mode: mode, timeout: timeout))
    }

    /// Reads a file of the node into a local file, from its beginning.
    ///
    /// - Throws: as ``download(_:)`` does.
    package func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) {
        try await download(FileTransfer(file, path, timeout: timeout))
    }
}

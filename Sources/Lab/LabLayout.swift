// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where the files of a lab are.
package struct LabLayout: Sendable, Hashable {
    package var directory: String

    package init(directory: String) {
        self.directory = directory
    }

    /// Says that the directory is a lab, holds its id, and is locked by whoever brings the lab up or down.
    var marker: String { "\(directory)/.pawl-lab" }
    /// There as soon as the lab is being taken down: a node that is only now starting sees it and ends.
    var ending: String { "\(directory)/.ending" }
    package var state: String { "\(directory)/lab.json" }
    package var inventory: String { "\(directory)/inventory.yaml" }
    package var knownHosts: String { "\(directory)/known_hosts" }
    /// The key that logs in on every node.
    package var privateKey: String { "\(directory)/id_ed25519" }
    /// The certificates of a lab that speaks https, with their keys.
    package var certificates: String { "\(directory)/pki" }
    package var logs: String { "\(directory)/logs" }
    var nodes: String { "\(directory)/nodes" }

    /// Writes a file whole or not at all, readable by its owner only.
    func write(_ data: Data, to path: String, mode: Int = 0o600) throws {
        let partial = "\(path).partial"
        try data.write(to: URL(filePath: partial))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: partial)
        guard rename(partial, path) == 0 else {
            throw LabError(.program, "\(path) could not be written: \(String(cString: strerror(errno)))")
        }
    }

    func write(_ text: String, to path: String, mode: Int = 0o600) throws {
        try write(Data(text.utf8), to: path, mode: mode)
    }

    /// Makes a directory for its owner only, with those above it.
    func makeDirectory(_ path: String, mode: Int = 0o700) throws {
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: mode]
        )
    }
}

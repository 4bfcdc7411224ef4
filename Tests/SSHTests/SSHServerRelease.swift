// SPDX-License-Identifier: Apache-2.0

import Foundation

/// An sshd of one release of OpenSSH: the one of this machine, or one that `scripts/fetch-ssh` unpacked.
struct SSHServerRelease: Sendable, CustomStringConvertible {
    /// Like `9.2`, or `installed` for this machine's.
    let version: String
    let program: String

    var description: String { "OpenSSH \(version)" }

    static let installed = SSHServerRelease(version: "installed", program: "/usr/sbin/sshd")

    /// Those that were fetched, by version.
    static let fetched: [SSHServerRelease] = {
        let root = (ProcessInfo.processInfo.environment["PAWL_SSH_VERSIONS"] ?? "/var/cache/pawl") + "/openssh"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.map { SSHServerRelease(version: $0, program: "\(root)/\($0)/sshd") }
            .filter { FileManager.default.isExecutableFile(atPath: $0.program) }
            .sorted { $0.number < $1.number }
    }()

    static let all = [installed] + fetched

    /// The fetched one of this version.
    static func release(_ version: String) -> SSHServerRelease? { fetched.first { $0.version == version } }

    private var number: Double { Double(version) ?? 0 }
}

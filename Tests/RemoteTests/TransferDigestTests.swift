// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

/// The node's part of a transfer takes digests by openssl, and by `sha256sum` where openssl is not, or fails.
struct TransferDigestTests {
    /// SHA-256 of `abc`, from FIPS 180-2, B.1.
    private static let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test(arguments: [nil, "exit 1", "echo wrong; exit 1", "exit 127"])
    func `the digest is the same whoever takes it`(_ openssl: String?) async throws {
        let folder = FileManager.default.temporaryDirectory.path + "/pawl-digest-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("abc".utf8).write(to: URL(filePath: folder + "/file.part"))
        if let openssl {
            try Data("#!/bin/sh\n\(openssl)\n".utf8).write(to: URL(filePath: folder + "/openssl"))
            try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder + "/openssl")
        }
        let script = "PATH=\(folder):$PATH\n" + FileTransferScript.part(of: folder + "/file")
        let output = try await Program.run("/bin/sh", ["-c", script])
        let part = FileTransferScript.Part(printed: output.stdout)
        #expect(part == .init(size: 3, digest: Self.digest), "\(output.stdout)\(output.stderr)")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import SSH
import Synchronization
import TestSupport
import Testing

@Suite(
    "A file on its way",
    .enabled(if: SSHServerFixture.isAvailable, "needs sshd and ssh-keygen on this machine"),
    .timeLimit(.minutes(3))
)
struct FileTransferTests {
    private static let size = 48 << 20

    /// A file of random bytes beside the server's own.
    private func source(_ server: SSHServerFixture) throws -> URL {
        var random = SplitMix64(seed: 7)
        let words: [UInt64] = (0..<Self.size / 8).map { _ in random.next() }
        let file = URL(filePath: server.path("source"))
        try words.withUnsafeBytes { Data($0) }.write(to: file)
        return file
    }

    private func inode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
    }

    /// The process of sshd that serves the connection.
    private func sessionProcess(of host: SSHHost) async throws -> Int32 {
        try #require(Int32(try await Script.output(host, "echo $PPID").trimmed))
    }

    /// Moves the file, and kills sshd's process for it when a part of it is over.
    private func cut(_ host: SSHHost, _ move: (@escaping FileTransfer.Progress) async throws -> Void) async throws {
        let session = try await sessionProcess(of: host)
        let error = await #expect(throws: RemoteError.self) {
            try await move { done, _ in if done > 8 << 20 { kill(session, SIGKILL) } }
        }
        #expect(error?.code == .inDoubt, "\(String(describing: error))")
    }

    @Test func `an upload that was cut off goes on where it was`() async throws {
        try await SSHServerFixture.with { server in
            let (host, file, path) = (try server.host(), try source(server), server.path("there"))
            try await cut(host) { progress in
                try await host.upload(FileTransfer(file, path, timeout: .seconds(60), onProgress: progress))
            }
            #expect(!FileManager.default.fileExists(atPath: path))
            let part = try #require(try inode(path + ".part"))
            // What was in the pipe is still being written.
            try await SSHServerFixture.sh(
                "while ls -l /proc/[0-9]*/fd 2>/dev/null | grep -qF '\(path).part'; do sleep 0.05; done"
            )
            let first = Mutex<Int?>(nil)
            try await host.upload(
                FileTransfer(file, path, mode: 0o640, timeout: .seconds(60), goesOn: true) { done, total in
                    #expect(total == Self.size)
                    first.withLock { $0 = $0 ?? done }
                }
            )
            #expect(try inode(path) == part, "it was begun anew")
            #expect((first.withLock { $0 } ?? 0) > 4 << 20)
            #expect(FileManager.default.contentsEqual(atPath: file.path, andPath: path))
            #expect(!FileManager.default.fileExists(atPath: path + ".part"))
        }
    }

    @Test func `a download that was cut off goes on where it was`() async throws {
        try await SSHServerFixture.with { server in
            let (host, file) = (try server.host(), try source(server))
            let back = URL(filePath: server.path("back"))
            try await cut(host) { progress in
                try await host.download(FileTransfer(back, file.path, timeout: .seconds(60), onProgress: progress))
            }
            #expect(!FileManager.default.fileExists(atPath: back.path))
            let part = try #require(try inode(back.path + ".part"))
            try await host.download(FileTransfer(back, file.path, timeout: .seconds(60), goesOn: true))
            #expect(try inode(back.path) == part, "it was begun anew")
            #expect(FileManager.default.contentsEqual(atPath: file.path, andPath: back.path))
        }
    }

    @Test(arguments: ["another file", "a longer file", "a link", "nothing"])
    func `what is left of another file is not gone on with`(_ what: String) async throws {
        try await SSHServerFixture.with { server in
            let (host, path) = (try server.host(), server.path("there"))
            let file = URL(filePath: server.path("source"))
            try server.write("source", "what the file holds")
            try server.write("victim", "what th")
            switch what {
            case "another file": try server.write("there.part", "what th3")
            case "a longer file": try server.write("there.part", "what the file holds, and more")
            case "a link":
                try FileManager.default.createSymbolicLink(
                    atPath: path + ".part",
                    withDestinationPath: server.path("victim")
                )
            default: break
            }
            try await host.upload(FileTransfer(file, path, timeout: .seconds(30), goesOn: true))
            #expect(server.read("there") == "what the file holds")
            #expect(server.read("victim") == "what th")
            try server.write("back.part", "other bytes")
            let back = URL(filePath: server.path("back"))
            try await host.download(FileTransfer(back, path, timeout: .seconds(30), goesOn: true))
            #expect(server.read("back") == "what the file holds")
            let left = try FileManager.default.contentsOfDirectory(atPath: server.directory).filter {
                $0.hasSuffix(".part")
            }
            #expect(left.isEmpty, "\(left)")
        }
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Subprocess
import SystemPackage

/// This machine as a node: real `/bin/sh`, no SSH in between.
///
/// For tests of what scripts do; the way over SSH has tests of its own. Commands run as the user of the test, whoever
/// they are elevated to.
package struct LocalHost: RemoteHost {
    package var name: String
    /// Runs before each command; lets a test put a failing program first on the `PATH`, for example.
    package var prelude: String

    package init(name: String = "local", prelude: String = "") {
        self.name = name
        self.prelude = prelude
    }

    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        do {
            // Whichever comes first; cancelling the command kills its shell.
            return try await withThrowingTaskGroup(of: CommandResult.self) { group in
                group.addTask { try await runWithoutDeadline(command) }
                group.addTask {
                    try await Task.sleep(for: command.timeout)
                    throw RemoteError(.inDoubt, host: name, "\(command.label): not done after \(command.timeout)")
                }
                defer { group.cancelAll() }
                guard let result = try await group.next() else { throw CancellationError() }
                return result
            }
        } catch let error as RemoteError {
            throw error
        } catch {
            throw RemoteError(.inDoubt, host: name, "\(command.label): \(error)")
        }
    }

    private func runWithoutDeadline(_ command: RemoteCommand) async throws -> CommandResult {
        let started = ContinuousClock.now
        let result = try await Subprocess.run(
            .path("/bin/sh"),
            arguments: ["-c", prelude + command.script],
            input: .fileDescriptor(try Self.file(of: command.standardInput), closeAfterSpawningProcess: true),
            output: .sequence,
            error: .bytes(limit: 1 << 28)
        ) { execution in
            var output: [UInt8] = []
            for try await buffer in execution.standardOutput {
                let piece = buffer.withUnsafeBytes { Array($0) }
                output += piece
                command.onOutput?(piece)
            }
            return output
        }
        guard case .exited(let code) = result.terminationStatus else {
            throw RemoteError(.inDoubt, host: name, "\(command.label): the shell was killed")
        }
        return CommandResult(
            exitCode: Int(code),
            standardOutput: result.closureResult,
            standardError: Array(result.standardError),
            duration: ContinuousClock.now - started
        )
    }

    /// An open file without a name that holds the bytes.
    ///
    /// Not a pipe: a command that ends without reading all of its input would end this process by SIGPIPE.
    private static func file(of bytes: [UInt8]) throws -> FileDescriptor {
        let path = FileManager.default.temporaryDirectory.path + "/pawl-input-\(UUID().uuidString)"
        let file = try FileDescriptor.open(
            FilePath(path),
            .readWrite,
            options: [.create, .exclusiveCreate, .closeOnExec],
            permissions: .ownerReadWrite
        )
        do {
            unlink(path)
            try file.writeAll(bytes)
            try file.seek(offset: 0, from: .start)
            return file
        } catch {
            try file.close()
            throw error
        }
    }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        do {
            try Data(contentsOf: transfer.file).write(to: URL(filePath: transfer.path))
            try FileManager.default.setAttributes([.posixPermissions: transfer.mode], ofItemAtPath: transfer.path)
        } catch {
            throw RemoteError(.transfer, host: name, "upload to \(transfer.path): \(error)")
        }
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        do {
            try Data(contentsOf: URL(filePath: transfer.path)).write(to: transfer.file)
        } catch {
            throw RemoteError(.transfer, host: name, "download of \(transfer.path): \(error)")
        }
    }

    package func elevated(as user: String) -> any RemoteHost { self }
    package func close() async {}
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Remote

/// A node reached over SSH.
///
/// A handle: copies, and the handles that ``elevated(as:)`` gives, share one session. It connects with the first command
/// and again whenever the session was lost. A command that may have begun is never sent twice.
package struct SSHHost: RemoteHost {
    private let connection: SSHConnection
    /// Whom commands run as; nil for the login user.
    private let user: String?

    package init(
        _ endpoint: SSHEndpoint,
        limits: SSHLimits = SSHLimits(),
        logger: Logger = Logger(label: "pawl.ssh")
    ) throws(RemoteError) {
        let loops = try SSHEventLoopGroup.shared.get()
        self.init(endpoint, limits: limits, loops: loops, logger: logger)
    }

    package init(
        _ endpoint: SSHEndpoint,
        limits: SSHLimits = SSHLimits(),
        loops: SSHEventLoopGroup,
        logger: Logger = Logger(label: "pawl.ssh")
    ) {
        connection = SSHConnection(endpoint, limits: limits.with(endpoint), loop: loops.next(), logger: logger)
        user = endpoint.becomeUser == endpoint.user ? nil : endpoint.becomeUser
    }

    private init(_ connection: SSHConnection, as user: String?) {
        self.connection = connection
        self.user = user
    }

    package var name: String { connection.endpoint.name }

    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        let started = ContinuousClock.now
        let result = try await connection.execute(
            ChannelRequest(
                label: command.label,
                script: command.script,
                input: .bytes(command.standardInput),
                output: .memory,
                timeout: command.timeout,
                user: user,
                onOutput: command.onOutput
            )
        )
        return CommandResult(
            exitCode: result.exitCode,
            standardOutput: result.standardOutput,
            standardError: result.standardError,
            duration: ContinuousClock.now - started
        )
    }

    package func elevated(as user: String) -> any RemoteHost {
        SSHHost(connection, as: user == connection.endpoint.user ? nil : user)
    }

    package func close() async { await connection.close() }

    // MARK: - Files

    package func upload(_ file: URL, to path: String, mode: Int, timeout: Duration) async throws(RemoteError) {
        let label = "upload to \(path)"
        let started = ContinuousClock.now
        let local = await BlockingPool.shared.run { Result { try ContentDigest.ofFile(file) } }
        guard case .success(let content) = local else {
            throw transferError("\(label): \(file.path(percentEncoded: false)) cannot be read")
        }
        let result = try await connection.execute(
            ChannelRequest(
                label: label,
                script: FileTransferScript.upload(to: path, mode: mode, digest: content.digest),
                input: .file(file),
                output: .memory,
                timeout: timeout - (ContinuousClock.now - started),
                user: user
            )
        )
        guard result.exitCode != 0 else { return }
        let said = String(decoding: result.standardError, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard result.exitCode == FileTransferScript.mismatchExitCode else {
            throw transferError("\(label): exit code \(result.exitCode): \(said)")
        }
        throw transferError(
            "\(label): \(said), left with \(content.digest)",
            remedy: "the part was removed and \(path) is as it was; try again"
        )
    }

    package func download(_ path: String, to file: URL, timeout: Duration) async throws(RemoteError) {
        let label = "download of \(path)"
        let target = file.path(percentEncoded: false)
        let part = target + ".part"
        unlink(part)
        defer { unlink(part) }
        let result = try await connection.execute(
            ChannelRequest(
                label: label,
                script: FileTransferScript.download(path),
                input: .bytes([]),
                output: .file(URL(filePath: part)),
                timeout: timeout,
                user: user
            )
        )
        let said = String(decoding: result.standardError, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard result.exitCode == 0 else { throw transferError("\(label): exit code \(result.exitCode): \(said)") }
        guard let digest = result.digest, said.split(separator: "\n").last.map(String.init) == digest else {
            throw transferError("\(label): left with sha256 \(said), arrived with \(result.digest ?? "none")")
        }
        guard rename(part, target) == 0 else {
            throw transferError("\(label): cannot write \(target): \(String(cString: strerror(errno)))")
        }
    }

    private func transferError(_ message: String, remedy: String? = nil) -> RemoteError {
        connection.error(.transfer, message, remedy: remedy)
    }
}

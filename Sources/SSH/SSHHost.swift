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
                isLast: command.isLast,
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

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        try await SSHFileTransfer(transfer, over: connection, as: user).upload()
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        try await SSHFileTransfer(transfer, over: connection, as: user).download()
    }
}

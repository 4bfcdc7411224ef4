// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Who asks, and from where: what a configuration may refer to besides itself.
package struct SSHConfigContext: Sendable {
    /// Of the account, not of the environment, as OpenSSH has it.
    package var home: String
    package var user: String
    package var userID: UInt32
    /// Of the controller.
    package var hostName: String
    package var variables: [String: String]
    /// The home of another account; `nil` where there is no such account.
    package var homeOf: @Sendable (String) -> String?
    /// Runs a command of `Match exec` and says how it exited; `nil` where it did not by itself.
    package var execute: @Sendable (String) -> Int32?

    package init(
        home: String,
        user: String,
        userID: UInt32,
        hostName: String,
        variables: [String: String],
        homeOf: @escaping @Sendable (String) -> String?,
        execute: @escaping @Sendable (String) -> Int32?
    ) {
        self.home = home
        self.user = user
        self.userID = userID
        self.hostName = hostName
        self.variables = variables
        self.homeOf = homeOf
        self.execute = execute
    }

    /// This process and its account.
    package static var current: SSHConfigContext {
        let variables = ProcessInfo.processInfo.environment
        let account = getpwuid(getuid())
        let home = account.map { String(cString: $0.pointee.pw_dir) } ?? NSHomeDirectory()
        let user = account.map { String(cString: $0.pointee.pw_name) } ?? NSUserName()
        return SSHConfigContext(
            home: home,
            user: user,
            userID: getuid(),
            hostName: localHostName,
            variables: variables,
            homeOf: { name in getpwnam(name).map { String(cString: $0.pointee.pw_dir) } },
            execute: { command in run(command, in: variables["SHELL"] ?? "/bin/sh") }
        )
    }

    private static var localHostName: String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// Neither reads from the terminal nor writes to stdout; what it says of errors is seen.
    private static func run(_ command: String, in shell: String) -> Int32? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: shell)
        process.environment = ProgramStart.environment
        process.arguments = ["-c", command]
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        do {
            try process.run()
        } catch {
            return nil
        }
        process.waitUntilExit()
        return process.terminationReason == .exit ? process.terminationStatus : nil
    }

    /// Puts a home in the place of `~` or `~user`; `nil` where there is no such account.
    func expandingTilde(_ path: String) -> String? {
        guard path.hasPrefix("~") else { return path }
        let name = path.dropFirst().prefix { $0 != "/" }
        let rest = path.dropFirst(1 + name.count).drop { $0 == "/" }
        guard let home = name.isEmpty ? home : homeOf(String(name)) else { return nil }
        return home.hasSuffix("/") ? home + rest : home + "/" + rest
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Subprocess
import SystemPackage

/// What a program that ran to its end left.
package struct LabOutput: Sendable, Hashable {
    /// 128 + the signal when it was killed, as a shell says it.
    package var exitCode: Int
    package var standardOutput: String
    package var standardError: String
}

/// Runs the programs of this machine that labs are made with.
enum LabProgram {
    /// Administrators' programs are not on the path of every user, and never on that of cron.
    private static let directories: [String] = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let own = path.split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
        return own + ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    }()

    /// Where a program is; `nil` when it is not installed.
    static func path(of program: String) -> String? {
        if program.hasPrefix("/") { return FileManager.default.isExecutableFile(atPath: program) ? program : nil }
        return directories.lazy.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Throws one error that names every program that is missing and the packages that bring them.
    static func require(_ programs: [String]) throws(LabError) {
        let packages = [
            "etcd": "etcd-server", "etcdctl": "etcd-client", "sshd": "openssh-server", "ssh": "openssh-client",
            "ssh-keygen": "openssh-client", "systemd-nspawn": "systemd-container", "ip": "iproute2", "sudo": "sudo",
            "curl": "curl", "dbus-daemon": "dbus", "nsenter": "util-linux", "unshare": "util-linux",
            "setsid": "util-linux", "mount": "mount", "umount": "mount",
        ]
        let missing = programs.filter { path(of: $0) == nil }
        guard !missing.isEmpty else { return }
        let names = Set(missing.map { packages[$0] ?? $0 }).sorted().joined(separator: " ")
        throw LabError(
            .missing,
            "not installed here: \(missing.joined(separator: ", "))",
            remedy: "apt-get install \(names)"
        )
    }

    /// Runs a program to its end.
    ///
    /// A non-zero exit is for the caller to judge.
    static func run(_ program: String, _ arguments: [String], input: String = "") async throws -> LabOutput {
        guard let path = path(of: program) else {
            try require([program])
            throw LabError(.missing, "\(program) is not installed here")
        }
        let result = try await Subprocess.run(
            .path(FilePath(path)),
            arguments: Arguments(arguments),
            environment: .inherit.updating(["LC_ALL": "C", "PATH": directories.joined(separator: ":")]),
            input: .array(Array(input.utf8)),
            output: .bytes(limit: 1 << 28),
            error: .bytes(limit: 1 << 24)
        )
        let exitCode =
            switch result.terminationStatus {
            case .exited(let code): Int(code)
            case .signaled(let signal): 128 + Int(signal)
            }
        return LabOutput(
            exitCode: exitCode,
            standardOutput: String(decoding: result.standardOutput, as: UTF8.self),
            standardError: String(decoding: result.standardError, as: UTF8.self)
        )
    }

    /// Runs a program that has to succeed, and answers with what it printed.
    @discardableResult
    static func check(_ program: String, _ arguments: [String], input: String = "") async throws -> String {
        let output = try await run(program, arguments, input: input)
        guard output.exitCode == 0 else {
            let why = (output.standardError + output.standardOutput).trimmingCharacters(in: .whitespacesAndNewlines)
            let line = ([program] + arguments).joined(separator: " ")
            throw LabError(.program, "`\(line.prefix(300))` ended with \(output.exitCode): \(why)")
        }
        return output.standardOutput
    }
}

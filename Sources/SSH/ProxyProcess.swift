// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Synchronization

/// A command over whose stdin and stdout a host is reached: `ProxyCommand` of ssh_config(5).
///
/// As with OpenSSH it is run by the user's shell, begins with `exec`, and gets a SIGHUP when the connection is given up.
/// It is in a process group of its own, so that a Ctrl-C that asks pawl for a safe point does not cut the connection.
final class ProxyProcess: Sendable {
    /// Those that have ended or been told to, and were not reaped yet.
    private static let ended = Mutex<[pid_t]>([])
    /// How much of what it says on stderr is told.
    private static let mostWords = 600

    private let pid: pid_t
    /// A file without a name that its stderr goes to.
    private let complaints: Int32

    private init(pid: pid_t, complaints: Int32) {
        (self.pid, self.complaints) = (pid, complaints)
    }

    deinit {
        kill(-pid, SIGHUP)
        close(complaints)
        Self.ended.withLock { $0.append(pid) }
        Self.reap()
    }

    /// Starts the command.
    ///
    /// - Parameters:
    ///   - command: a line for the shell.
    ///   - environment: what it finds there.
    /// - Returns: the process, and our end of its stdin and stdout, non-blocking; the caller closes it.
    /// - Throws: when it cannot be started at all.
    static func start(
        _ command: String,
        environment: [String: String] = ProgramStart.environment
    ) throws(SSHFailure) -> (process: ProxyProcess, descriptor: Int32) {
        reap()
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, streamSocketType | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw .system("socketpair", errno)
        }
        defer { close(ends[1]) }
        do throws(SSHFailure) {
            let complaints = try namelessFile()
            do throws(SSHFailure) {
                let shell = environment["SHELL"].flatMap { $0.isEmpty ? nil : $0 } ?? "/bin/sh"
                let pid = try spawn([shell, "-c", "exec " + command], environment, over: ends[1], complaints)
                _ = fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK)
                return (ProxyProcess(pid: pid, complaints: complaints), ends[0])
            } catch {
                close(complaints)
                throw error
            }
        } catch {
            close(ends[0])
            throw error
        }
    }

    /// What it has said on stderr, in one line; nil where it has said nothing.
    var lastWords: String? {
        let size = lseek(complaints, 0, SEEK_END)
        guard size > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: Self.mostWords)
        let count = pread(complaints, &bytes, bytes.count, max(0, size - off_t(bytes.count)))
        guard count > 0 else { return nil }
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self).split(whereSeparator: \.isNewline)
        return lines.isEmpty ? nil : lines.joined(separator: "; ")
    }

    // MARK: - System calls

    private static func namelessFile() throws(SSHFailure) -> Int32 {
        let path = NSTemporaryDirectory() + "/pawl-proxy-\(UUID().uuidString)"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("a file for the messages of ProxyCommand", errno) }
        unlink(path)
        return descriptor
    }

    private static func spawn(
        _ arguments: [String],
        _ environment: [String: String],
        over end: Int32,
        _ complaints: Int32
    ) throws(SSHFailure) -> pid_t {
        do throws(ProgramStart.Failure) {
            let files = (input: end, output: end, errors: complaints)
            return try ProgramStart(arguments, environment: environment, files: files, hasOwnGroup: true)()
        } catch {
            throw .system(arguments[0], error.code)
        }
    }

    /// Takes the exit codes of those that have ended, so that none stays a zombie for long.
    private static func reap() {
        ended.withLock { pids in
            pids.removeAll { pid in
                var status: Int32 = 0
                let found = waitpid(pid, &status, WNOHANG)
                return found == pid || (found < 0 && errno == ECHILD)
            }
        }
    }
}

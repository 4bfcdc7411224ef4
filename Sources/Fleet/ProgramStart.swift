// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// How a program of this machine is started, by `posix_spawn(3)`.
///
/// Foundation's `Process` puts each into a process group of its own, so that none could ask at the terminal, and
/// swift-subprocess waits for its end, which a connection through a program cannot.
package struct ProgramStart {
    /// Why a program could not be started: the number of the system's error.
    package struct Failure: Error {
        package var code: Int32
        /// The system's words.
        package var reason: String { String(cString: strerror(code)) }
    }

    /// The path of the program, and its arguments.
    package var words: [String]
    package var environment: [String: String]
    /// What becomes its stdin, stdout and stderr.
    ///
    /// They stay the caller's to close.
    package var files: (input: Int32, output: Int32, errors: Int32)
    /// Whether it is in a process group of its own, which a Ctrl-C does not reach.
    package var hasOwnGroup: Bool

    /// What programs get of pawl's own environment: all but the passwords, which are for nobody else.
    package static var environment: [String: String] {
        ProcessInfo.processInfo.environment.filter { !GivenSecrets.variables.contains($0.key) }
    }

    /// Describes a start; nothing is done yet.
    package init(
        _ words: [String],
        environment: [String: String] = Self.environment,
        files: (input: Int32, output: Int32, errors: Int32),
        hasOwnGroup: Bool
    ) {
        self.words = words
        self.environment = environment
        self.files = files
        self.hasOwnGroup = hasOwnGroup
    }

    /// Starts the program, which the caller waits for.
    ///
    /// - Returns: its process.
    /// - Throws: when it cannot be started at all.
    package func callAsFunction() throws(Failure) -> pid_t {
        #if canImport(Darwin)
        var actions: posix_spawn_file_actions_t?
        var attributes: posix_spawnattr_t?
        #else
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        #endif
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_adddup2(&actions, files.input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, files.output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, files.errors, STDERR_FILENO)
        // Signals that pawl blocks or ignores would otherwise be so for the program, too.
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT] { sigaddset(&signals, signal) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | (hasOwnGroup ? POSIX_SPAWN_SETPGROUP : 0)
        posix_spawnattr_setflags(&attributes, Int16(flags))

        let arguments = words.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (arguments + variables).forEach { free($0) } }
        var process: pid_t = 0
        var code: Int32 = 0
        // A file that was just written may still be open in a process that is about to become another program.
        for _ in 0..<40 {
            code = posix_spawn(&process, words[0], &actions, &attributes, arguments, variables)
            guard code == ETXTBSY else { break }
            usleep(25_000)
        }
        guard code == 0 else { throw Failure(code: code) }
        return process
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
import Glibc
#elseif canImport(Darwin)
import Darwin
#endif

/// A program of this machine that is run for what it prints: an inventory script, or one that prints a password.
///
/// It belongs to the foreground as pawl does, so that it can ask at the terminal and Ctrl-C ends it, too.
struct LocalProgram {
    struct Output {
        var bytes: Data
        /// What it said on stderr.
        var errors: String
        /// How it failed, in words; `nil` for the exit status 0.
        var failure: String?
    }

    let path: String

    /// Runs it to its end.
    ///
    /// - Throws: ``ProgramStart/Failure`` where it cannot be run at all.
    func run(_ arguments: [String]) throws(ProgramStart.Failure) -> Output {
        guard let output = Self.pipe(), let errors = Self.pipe() else { throw ProgramStart.Failure(code: errno) }
        defer {
            close(output.read)
            close(errors.read)
        }
        let process: pid_t
        do {
            defer {
                close(output.write)
                close(errors.write)
            }
            process = try start(arguments, output: output.write, errors: errors.write)
        }
        let texts = Self.drain([output.read, errors.read])
        let failure = Self.end(of: process)
        return Output(bytes: texts[0], errors: String(decoding: texts[1], as: UTF8.self), failure: failure)
    }

    private func start(_ arguments: [String], output: Int32, errors: Int32) throws(ProgramStart.Failure) -> pid_t {
        let input = open("/dev/null", O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw ProgramStart.Failure(code: errno) }
        defer { close(input) }
        return try ProgramStart([path] + arguments, files: (input, output, errors), hasOwnGroup: false)()
    }

    /// Neither end is inherited; the program has what is duplicated for it.
    private static func pipe() -> (read: Int32, write: Int32)? {
        var ends: [Int32] = [-1, -1]
        #if canImport(Darwin)
        guard Darwin.pipe(&ends) == 0 else { return nil }
        #else
        guard Glibc.pipe(&ends) == 0 else { return nil }
        #endif
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    /// Reads all to their ends side by side: a program that fills one while another is read would wait for ever.
    private static func drain(_ descriptors: [Int32]) -> [Data] {
        var collected = descriptors.map { _ in Data() }
        var watched = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while watched.contains(where: { $0.fd >= 0 }) {
            guard poll(&watched, nfds_t(watched.count), -1) > 0 else {
                if errno == EINTR { continue }
                break
            }
            for index in watched.indices where watched[index].fd >= 0 && watched[index].revents != 0 {
                let count = read(watched[index].fd, &buffer, buffer.count)
                if count > 0 {
                    collected[index].append(contentsOf: buffer[..<count])
                } else if count == 0 || errno != EINTR {
                    watched[index].fd = -1
                }
            }
        }
        return collected
    }

    private static func end(of process: pid_t) -> String? {
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else { return "its end is not known: \(String(cString: strerror(errno)))" }
        }
        let signal = status & 0x7F
        if signal != 0 { return "it was ended by the signal \(signal)" }
        let code = (status >> 8) & 0xFF
        return code == 0 ? nil : "it ended with the exit status \(code)"
    }
}

extension LocalProgram.Output {
    /// The last lines that it said on stderr, in one; empty where it said nothing.
    var complaint: String {
        let lines = errors.split(whereSeparator: \.isNewline).map { INILine.trimmed($0) }.filter { !$0.isEmpty }
        return lines.suffix(5).joined(separator: "; ")
    }
}

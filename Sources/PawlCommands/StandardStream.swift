// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Stdout or stderr, written as well as it goes.
///
/// A disk that is full, a reader that is gone, a terminal that was closed: none of them may end the program amid a step.
/// What could not be written is lost, and each write is tried anew.
///
/// ## Concurrency
/// All state is behind the mutex, which also keeps the writes of two tasks apart.
final class StandardStream: Sendable {
    static let output = StandardStream(STDOUT_FILENO)
    static let errors = StandardStream(STDERR_FILENO)

    private struct State {
        var problem: String?
        /// Whether the last write ended amid its text.
        var isCut = false
    }

    private let descriptor: Int32
    private let state = Mutex(State())

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
    }

    /// Why something was lost, the first time; `nil` while nothing was.
    var problem: String? { state.withLock(\.problem) }

    /// Writes at once; text behind one that was cut begins on a line of its own.
    func write(_ text: String) {
        state.withLock { state in
            var bytes = Array((state.isCut ? "\n" : "").utf8)[...]
            bytes += Array(text.utf8)
            let count = bytes.count
            while !bytes.isEmpty {
                let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
                if written >= 0 {
                    bytes = bytes.dropFirst(written)
                } else if errno == EAGAIN {
                    // Whoever shares the descriptor has made it non-blocking.
                    var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                    _ = poll(&room, 1, -1)
                } else if errno != EINTR {
                    Self.note(lost: errno, in: &state)
                    break
                }
            }
            state.isCut = bytes.isEmpty ? false : state.isCut || bytes.count < count
        }
    }

    /// Notes that something was lost that went there another way.
    func note(lost code: Int32) { state.withLock { Self.note(lost: code, in: &$0) } }

    private static func note(lost code: Int32, in state: inout State) {
        state.problem = state.problem ?? String(cString: strerror(code))
    }

    /// Makes sure that stdin, stdout and stderr are open.
    ///
    /// Where the caller has closed one of them, the next file or connection would get its number, and what is printed.
    static func openClosed() {
        for descriptor in [STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO] where fcntl(descriptor, F_GETFD) == -1 {
            _ = open("/dev/null", O_RDWR)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import PawlCommands

@Suite struct StandardStreamTests {
    @Test func `what a full disk does not take is lost, and why is known`() throws {
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        let stream = StandardStream(full)
        #expect(stream.problem == nil)
        stream.write("")
        #expect(stream.problem == nil)
        stream.write("x\n")
        #expect(stream.problem == "No space left on device")
    }

    @Test func `whoever made the descriptor non-blocking, all of a long text is written`() async throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        let (reader, writer) = (FileHandle(fileDescriptor: ends[0], closeOnDealloc: true), ends[1])
        _ = fcntl(writer, F_SETFL, fcntl(writer, F_GETFL) | O_NONBLOCK)
        let text = String(repeating: "0123456789", count: 30_000)
        Thread {
            StandardStream(writer).write(text)
            close(writer)
        }.start()
        #expect(try reader.readToEnd() == Data(text.utf8))
    }

    /// The first reader leaves amid a line, as a disk gets full and is given room.
    @Test func `a line behind one that was cut begins anew`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/pawl-fifo-\(UUID().uuidString)"
        #expect(mkfifo(path, 0o600) == 0)
        defer { unlink(path) }
        let first = open(path, O_RDONLY | O_NONBLOCK)
        let writer = open(path, O_WRONLY)
        defer { close(writer) }
        // Sent to the thread that writes.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGPIPE)
        var before = sigset_t()
        pthread_sigmask(SIG_BLOCK, &signals, &before)
        defer {
            var none = timespec()
            _ = sigtimedwait(&signals, nil, &none)
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
        Thread {
            var data = pollfd(fd: first, events: Int16(POLLIN), revents: 0)
            _ = poll(&data, 1, -1)
            close(first)
        }.start()
        let stream = StandardStream(writer)
        stream.write(String(repeating: "x", count: 1 << 20))
        #expect(stream.problem == "Broken pipe")
        let second = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(second) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        let cut = read(second, &buffer, buffer.count)
        #expect(cut > 0 && cut < 1 << 20)
        stream.write("next\n")
        stream.write("last\n")
        let count = read(second, &buffer, buffer.count)
        #expect(String(decoding: buffer.prefix(max(0, count)), as: UTF8.self) == "\nnext\nlast\n")
    }
}

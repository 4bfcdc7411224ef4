// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// A way to a server on this machine that can be made slow, silent or short while connections go over it.
///
/// One thread, one `poll`; bytes wait in a queue until they are due.
///
/// ## Concurrency
/// `state` is what tests set and read; connections belong to the thread alone.
package final class TCPRelay: Sendable {
    /// What happens to bytes, and what did.
    package struct State: Sendable {
        /// How late bytes come, each way.
        package var delay = Duration.zero
        /// Whether bytes are passed on; while not, nothing is said to either side, as with a pulled cable.
        package var isForwarding = true
        /// How many bytes of the server are still passed on, those after them being lost; nil for all.
        package var serverBytesLeft: Int?
        /// How many bytes may be on their way, each way; the sender is held up beyond that.
        package var window: Int?
        /// Bytes that were passed on.
        package var fromClient = 0
        package var fromServer = 0
        /// Connections that were taken.
        package var connections = 0
        fileprivate var mustCut = false
        fileprivate var isClosed = false
    }

    /// One connection, with what is on its way.
    private struct Link {
        var client: Int32
        var server: Int32
        var toServer: [(due: ContinuousClock.Instant, bytes: [UInt8])] = []
        var toClient: [(due: ContinuousClock.Instant, bytes: [UInt8])] = []
        /// Whether an end has closed; its last bytes are still passed on.
        var hasEnded = false

        func mayRead(_ queue: [(due: ContinuousClock.Instant, bytes: [UInt8])], _ state: State) -> Bool {
            guard !hasEnded, state.isForwarding else { return false }
            return state.window.map { window in queue.reduce(0) { $0 + $1.bytes.count } < window } ?? true
        }
    }

    package let port: Int
    private let listener: Int32
    private let address: String
    private let serverPort: Int
    private let state = Mutex(State())

    private init(address: String, serverPort: Int) throws {
        (self.address, self.serverPort) = (address, serverPort)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var name = Self.name("127.0.0.1", 0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) | listen(listener, 64) | getsockname(listener, $0, &size)
            }
        }
        guard status == 0 else { throw CocoaError(.fileReadUnknown) }
        port = Int(UInt16(bigEndian: name.sin_port))
    }

    /// Opens a relay to the server, runs the body with it, and closes all whatever happened.
    ///
    /// It listens on 127.0.0.1.
    package static func with(
        to address: String,
        port: Int,
        _ body: (TCPRelay) async throws -> Void
    ) async throws {
        let relay = try TCPRelay(address: address, serverPort: port)
        let thread = Thread { relay.run() }
        thread.name = "relay"
        thread.start()
        defer { relay.state.withLock { $0.isClosed = true } }
        try await body(relay)
    }

    /// What happens to bytes, and what did.
    package var now: State { state.withLock { $0 } }

    /// Changes what happens to bytes from now on.
    package func set(_ change: @Sendable (inout State) -> Void) { state.withLock { change(&$0) } }

    /// Resets all connections that there are; none that comes after the call is among them.
    package func cut() async throws {
        state.withLock { $0.mustCut = true }
        while state.withLock({ $0.mustCut && !$0.isClosed }) { try await Task.sleep(for: .milliseconds(1)) }
    }

    // MARK: - Thread

    private func run() {
        var links: [Link] = []
        defer {
            for link in links { Self.close(link) }
            Glibc.close(listener)
        }
        while true {
            let (isClosed, mustCut) = state.withLock { state in
                defer { state.mustCut = false }
                return (state.isClosed, state.mustCut)
            }
            if isClosed { return }
            if mustCut {
                for link in links { Self.close(link, byReset: true) }
                links = []
            }
            waitForNews(links)
            takeNewConnection(into: &links)
            for index in links.indices.reversed() where !serve(&links[index]) {
                Self.close(links.remove(at: index))
            }
        }
    }

    /// Until something comes, or for a moment.
    private func waitForNews(_ links: [Link]) {
        var descriptors = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        let state = now
        for link in links {
            for (end, queue) in [(link.client, link.toServer), (link.server, link.toClient)]
            where link.mayRead(queue, state) {
                descriptors.append(pollfd(fd: end, events: Int16(POLLIN), revents: 0))
            }
        }
        let isBusy = links.contains { !$0.toServer.isEmpty || !$0.toClient.isEmpty }
        _ = poll(&descriptors, nfds_t(descriptors.count), isBusy ? 1 : 10)
    }

    private func takeNewConnection(into links: inout [Link]) {
        var ready = pollfd(fd: listener, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, 0) == 1 else { return }
        let client = accept(listener, nil, nil)
        guard client >= 0 else { return }
        _ = fcntl(client, F_SETFD, FD_CLOEXEC)
        _ = fcntl(client, F_SETFL, fcntl(client, F_GETFL) | O_NONBLOCK)
        let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var name = Self.name(address, serverPort)
        let status = withUnsafePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        let link = Link(client: client, server: server)
        guard status == 0 else { return Self.close(link) }
        _ = fcntl(server, F_SETFL, fcntl(server, F_GETFL) | O_NONBLOCK)
        var one: Int32 = 1
        // What the kernel keeps counts as well.
        if var window = now.window.map(Int32.init) {
            for end in [client, server] {
                setsockopt(end, SOL_SOCKET, SO_RCVBUF, &window, socklen_t(MemoryLayout<Int32>.size))
            }
        }
        for end in [client, server] {
            setsockopt(end, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        }
        state.withLock { $0.connections += 1 }
        links.append(link)
    }

    /// Takes what is there and passes on what is due; false when the connection is over.
    private func serve(_ link: inout Link) -> Bool {
        let state = now
        guard state.isForwarding else { return true }
        let due = ContinuousClock.now + state.delay
        let fromClient = link.mayRead(link.toServer, state) ? Self.read(link.client, &link.hasEnded) : nil
        let fromServer = link.mayRead(link.toClient, state) ? Self.read(link.server, &link.hasEnded) : nil
        if let fromClient { link.toServer.append((due, fromClient)) }
        if let fromServer { link.toClient.append((due, allowed(fromServer))) }
        let upwards = Self.pass(&link.toServer, to: link.server)
        let downwards = Self.pass(&link.toClient, to: link.client)
        self.state.withLock {
            $0.fromClient += upwards ?? 0
            $0.fromServer += downwards ?? 0
        }
        guard upwards != nil, downwards != nil else { return false }
        return !link.hasEnded || !link.toServer.isEmpty || !link.toClient.isEmpty
    }

    /// As much of the server's bytes as may still be passed on.
    private func allowed(_ bytes: [UInt8]) -> [UInt8] {
        state.withLock { state in
            guard let left = state.serverBytesLeft else { return bytes }
            state.serverBytesLeft = max(0, left - bytes.count)
            return Array(bytes.prefix(left))
        }
    }

    private static func read(_ descriptor: Int32, _ hasEnded: inout Bool) -> [UInt8]? {
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &piece, piece.count, 0)
        if count > 0 { return Array(piece.prefix(count)) }
        if count == 0 || (errno != EAGAIN && errno != EINTR) { hasEnded = true }
        return nil
    }

    /// How many bytes were passed on; nil where nobody takes them any more.
    private static func pass(
        _ queue: inout [(due: ContinuousClock.Instant, bytes: [UInt8])],
        to descriptor: Int32
    ) -> Int? {
        var passed = 0
        while let first = queue.first, first.due <= .now {
            guard !first.bytes.isEmpty else {
                queue.removeFirst()
                continue
            }
            let count = send(descriptor, first.bytes, first.bytes.count, Int32(MSG_NOSIGNAL))
            if count < 0 { return errno == EAGAIN ? passed : nil }
            passed += count
            if count == first.bytes.count { queue.removeFirst() } else { queue[0].bytes.removeFirst(count) }
        }
        return passed
    }

    private static func name(_ address: String, _ port: Int) -> sockaddr_in {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = in_port_t(port).bigEndian
        name.sin_addr.s_addr = inet_addr(address)
        return name
    }

    private static func close(_ link: Link, byReset: Bool = false) {
        for end in [link.client, link.server] {
            if byReset {
                var hard = linger(l_onoff: 1, l_linger: 0)
                setsockopt(end, SOL_SOCKET, SO_LINGER, &hard, socklen_t(MemoryLayout<linger>.size))
            }
            Glibc.close(end)
        }
    }
}

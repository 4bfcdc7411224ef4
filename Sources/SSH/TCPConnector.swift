// SPDX-License-Identifier: Apache-2.0

import Foundation

#if canImport(Glibc)
let streamSocketType = Int32(SOCK_STREAM.rawValue)
#else
let streamSocketType = SOCK_STREAM
#endif
let sendFlags = Int32(MSG_NOSIGNAL)

/// Opens a TCP connection without blocking: name lookup on a thread of its own, then each address in turn.
struct TCPConnector {
    var address: String
    var port: Int
    var family = SSHEndpoint.AddressFamily.any
    var loop: SSHEventLoop

    /// One address of the host, as `getaddrinfo` gives it.
    struct Address: Sendable {
        var family: Int32
        var bytes: [UInt8]
    }

    /// A socket, and how long the name had to wait for those of other hosts to be looked up.
    struct Connected {
        var descriptor: Int32
        var waited: Duration
    }

    /// What a lookup gave, and when its turn had come.
    private struct Lookup: Sendable {
        var addresses: [Address]
        var waited: Duration
    }

    /// A connected, non-blocking socket; the caller closes it.
    ///
    /// The deadline counts from when the name's turn to be looked up has come: names of other hosts that nobody answers for
    /// must not be this host's failure.
    func connect(
        until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> Connected {
        let lookup = try await resolve()
        let descriptor = try await connect(to: lookup.addresses, until: deadline + lookup.waited)
        return Connected(descriptor: descriptor, waited: lookup.waited)
    }

    private func connect(
        to addresses: [Address],
        until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> Int32 {
        var failures: [String] = []
        for (index, candidate) in addresses.enumerated() {
            // Each address gets its share of what time is left, so that a dead one does not use up all of it.
            let share = (deadline - .now) / (addresses.count - index)
            do throws(SSHFailure) {
                return try await connect(to: candidate, until: .now + share)
            } catch {
                if error.kind == .cancelled { throw error }
                if !failures.contains(error.message) { failures.append(error.message) }
            }
        }
        throw SSHFailure(kind: .local, message: failures.joined(separator: "; "))
    }

    private func resolve(isolation: isolated (any Actor)? = #isolation) async throws(SSHFailure) -> Lookup {
        // A numeric address needs no lookup and no thread.
        if let numeric = try? Self.lookUp(address, port, family, flags: AI_NUMERICHOST | AI_NUMERICSERV).get() {
            return Lookup(addresses: numeric, waited: .zero)
        }
        let (name, number, family) = (address, port, family)
        let asked = ContinuousClock.now
        return try await BlockingPool.shared.run { () -> Result<Lookup, SSHFailure> in
            let waited = ContinuousClock.now - asked
            return Self.lookUp(name, number, family, flags: AI_NUMERICSERV)
                .map { Lookup(addresses: $0, waited: waited) }
        }
        .get()
    }

    private static func lookUp(
        _ name: String,
        _ port: Int,
        _ family: SSHEndpoint.AddressFamily,
        flags: Int32
    ) -> Result<[Address], SSHFailure> {
        var hints = addrinfo()
        switch family {
        case .any: hints.ai_family = AF_UNSPEC
        case .inet: hints.ai_family = AF_INET
        case .inet6: hints.ai_family = AF_INET6
        }
        hints.ai_socktype = streamSocketType
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, String(port), &hints, &list)
        guard status == 0 else {
            return .failure(
                SSHFailure(
                    kind: .unknownName,
                    message: "the name \(name) is not known\(family == .any ? "" : " as an address of \(family)"): "
                        + String(cString: gai_strerror(status))
                )
            )
        }
        defer { freeaddrinfo(list) }
        var addresses: [Address] = []
        var next = list
        while let info = next?.pointee {
            if let address = info.ai_addr {
                let raw = UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen))
                addresses.append(Address(family: info.ai_family, bytes: Array(raw)))
            }
            next = info.ai_next
        }
        return .success(addresses)
    }

    private func connect(
        to target: Address,
        until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> Int32 {
        let flags = Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(target.family, streamSocketType | flags, 0)
        guard descriptor >= 0 else { throw .system("socket", errno) }
        do throws(SSHFailure) {
            let status = target.bytes.withUnsafeBytes { raw in
                raw.withMemoryRebound(to: sockaddr.self) {
                    Glibc.connect(descriptor, $0.baseAddress, socklen_t(target.bytes.count))
                }
            }
            if status != 0 {
                guard errno == EINPROGRESS else { throw .system("connect", errno) }
                switch await loop.wait(on: descriptor, for: .write, until: deadline) {
                case .ready: break
                case .deadlinePassed: throw SSHFailure(kind: .deadlinePassed, message: "no answer to connect in time")
                case .cancelled: throw SSHFailure(kind: .cancelled, message: "cancelled while connecting")
                }
                let code = Self.option(descriptor, SOL_SOCKET, SO_ERROR)
                guard code == 0 else { throw .system("connect", code) }
            }
            Self.tune(descriptor)
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }

    /// Small packets at once (128 → 74 ms for a command), and a peer that vanished while nobody talks is noticed by the
    /// kernel within half a minute.
    private static func tune(_ descriptor: Int32) {
        set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
        #if !canImport(Darwin)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
        set(descriptor, Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
        #endif
    }

    private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, level, name, &value, &size) == 0 ? value : errno
    }
}

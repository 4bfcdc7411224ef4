// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Talks to `ssh-agent` over its Unix socket without blocking (draft-ietf-sshm-ssh-agent).
///
/// Not `Sendable`: belongs to one session's actor, on whose loop it waits.
final class SSHAgentClient {
    struct Identity {
        var publicKey: [UInt8]
        var comment: String
    }

    private let descriptor: Int32
    private let loop: SSHEventLoop
    private let deadline: ContinuousClock.Instant

    init(
        path: String,
        loop: SSHEventLoop,
        deadline: ContinuousClock.Instant
    ) throws(SSHFailure) {
        descriptor = try Self.connected(to: path, flags: Int32(SOCK_NONBLOCK.rawValue))
        self.loop = loop
        self.deadline = deadline
    }

    /// A socket that is connected to an agent; the caller closes it.
    static func connected(to path: String, flags: Int32) throws(SSHFailure) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SSHFailure(kind: .local, message: "the agent's socket path is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(
            AF_UNIX,
            streamSocketType | Int32(SOCK_CLOEXEC.rawValue) | flags,
            0
        )
        guard descriptor >= 0 else { throw .system("socket", errno) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let code = errno
            close(descriptor)
            throw .system("the agent at \(path)", code)
        }
        return descriptor
    }

    deinit { close(descriptor) }

    func identities(isolation: isolated (any Actor)? = #isolation) async throws(SSHFailure) -> [Identity] {
        guard let identities = Self.identities(in: try await transact([Self.listRequest])) else {
            throw Self.refused("list its keys")
        }
        return identities
    }

    /// `SSH_AGENTC_REQUEST_IDENTITIES`.
    static let listRequest: UInt8 = 11

    /// The keys of an answer to that; nil where it is none.
    static func identities(in answer: [UInt8]) -> [Identity]? {
        var reader = SSHWireReader(answer)
        guard reader.byte() == 12, let count = reader.uint32() else { return nil }
        var identities: [Identity] = []
        for _ in 0..<min(count, 256) {
            guard let key = reader.string(), let comment = reader.string() else { break }
            identities.append(Identity(publicKey: key, comment: String(decoding: comment, as: UTF8.self)))
        }
        return identities
    }

    /// The signature without the name of its algorithm.
    func sign(
        _ data: [UInt8],
        with key: [UInt8],
        flags: UInt32,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> [UInt8] {
        var request = SSHWireWriter()
        request.byte(13)  // SSH_AGENTC_SIGN_REQUEST
        request.string(key)
        request.string(data)
        request.uint32(flags)
        var reader = SSHWireReader(try await transact(request.bytes))
        guard reader.byte() == 14, let blob = reader.string() else { throw Self.refused("sign") }
        var inner = SSHWireReader(blob)
        guard inner.string() != nil, let signature = inner.string() else { throw Self.refused("sign") }
        return signature
    }

    private static func refused(_ what: String) -> SSHFailure {
        SSHFailure(kind: .local, message: "the agent refused to \(what)")
    }

    private func transact(
        _ message: [UInt8],
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> [UInt8] {
        var framed = SSHWireWriter()
        framed.string(message)
        var sent = 0
        while sent < framed.bytes.count {
            let count = framed.bytes[sent...].withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, sendFlags) }
            if count > 0 { sent += count } else { try await blocked(.write, count, errno) }
        }
        var header = SSHWireReader(try await receive(4))
        guard let length = header.uint32(), length > 0, length <= 1 << 20 else { throw Self.refused("answer") }
        return try await receive(Int(length))
    }

    private func receive(
        _ count: Int,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var have = 0
        while have < count {
            let got = bytes.withUnsafeMutableBytes {
                recv(descriptor, $0.baseAddress?.advanced(by: have), count - have, 0)
            }
            if got > 0 { have += got } else { try await blocked(.read, got, errno) }
        }
        return bytes
    }

    private func blocked(
        _ interest: SSHEventLoop.Interest,
        _ result: Int,
        _ code: Int32,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) {
        if result == 0 { throw SSHFailure(kind: .local, message: "the agent hung up") }
        guard code == EAGAIN || code == EINTR else { throw .system("the agent", code) }
        switch await loop.wait(on: descriptor, for: interest, until: deadline) {
        case .ready: return
        case .deadlinePassed: throw SSHFailure(kind: .deadlinePassed, message: "the agent did not answer in time")
        case .cancelled: throw SSHFailure(kind: .cancelled, message: "cancelled while asking the agent")
        }
    }
}

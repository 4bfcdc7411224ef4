// SPDX-License-Identifier: Apache-2.0

import CLibSSH2
import Foundation

/// What one side can speak: the lists of its `SSH_MSG_KEXINIT` (RFC 4253, 7.1), as far as they are of interest.
struct AlgorithmProposal: Equatable {
    var keyExchange: [String] = []
    var hostKey: [String] = []
    var cipher: [String] = []
    var mac: [String] = []

    init() {}

    /// What the libssh2 that is loaded can speak.
    init(knownTo session: SessionHandle) {
        keyExchange = session.supportedMethods(LIBSSH2_METHOD_KEX)
        hostKey = session.supportedMethods(LIBSSH2_METHOD_HOSTKEY)
        cipher = session.supportedMethods(LIBSSH2_METHOD_CRYPT_CS)
        mac = session.supportedMethods(LIBSSH2_METHOD_MAC_CS)
    }

    /// The payload of the server's `SSH_MSG_KEXINIT`.
    init?(message: [UInt8]) {
        var reader = SSHWireReader(message)
        guard reader.byte() == 20 else { return nil }
        reader.skip(16)
        var lists: [[String]] = []
        for _ in 0..<6 {
            guard let list = reader.string() else { return nil }
            lists.append(String(decoding: list, as: UTF8.self).split(separator: ",").map(String.init))
        }
        (keyExchange, hostKey, cipher, mac) = (lists[0], lists[1], lists[2], lists[4])
    }

    /// The kinds in which the two have nothing in common, in words.
    func differences(from server: AlgorithmProposal) -> [String] {
        let kinds = [
            ("key exchange", keyExchange, server.keyExchange), ("host key", hostKey, server.hostKey),
            ("cipher", cipher, server.cipher), ("MAC", mac, server.mac),
        ]
        return kinds.compactMap { name, ours, theirs in
            guard Set(ours).isDisjoint(with: theirs) else { return nil }
            return "\(name): the server offers \(theirs.joined(separator: ",")), "
                + "libssh2 knows \(ours.joined(separator: ","))"
        }
    }
}

/// Asks a server what it offers, on a connection of its own, after a handshake failed.
///
/// libssh2 does not tell.
struct AlgorithmProbe {
    var route: SSHRoute

    /// The server's proposal, or nil where it does not come.
    func proposal(
        until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async -> AlgorithmProposal? {
        guard let way = try? await route.open(until: deadline) else { return nil }
        let descriptor = way.descriptor
        // The proxy ends with the last reference to it.
        defer { withExtendedLifetime(way.proxy) { _ = close(descriptor) } }
        let banner = Array("SSH-2.0-pawl\r\n".utf8)
        guard send(descriptor, banner, banner.count, sendFlags) == banner.count else { return nil }
        var bytes: [UInt8] = []
        while bytes.count < 1 << 16 {
            if let message = Self.firstPacket(after: bytes) { return AlgorithmProposal(message: message) }
            guard case .ready = await route.loop.wait(on: descriptor, for: .read, until: deadline) else { return nil }
            var piece = [UInt8](repeating: 0, count: 4096)
            let count = recv(descriptor, &piece, piece.count, 0)
            guard count > 0 else { return nil }
            bytes += piece.prefix(count)
        }
        return nil
    }

    /// The payload of the first binary packet, once the lines of the banner and the whole packet are there.
    static func firstPacket(after bytes: [UInt8]) -> [UInt8]? {
        var rest = bytes[...]
        while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
            let line = rest[..<newline]
            rest = rest[(newline + 1)...]
            guard line.starts(with: Array("SSH-".utf8)) else { continue }
            var reader = SSHWireReader(Array(rest))
            guard let packet = reader.string(), let padding = packet.first, packet.count > Int(padding) + 1 else {
                return nil
            }
            return Array(packet[1..<(packet.count - Int(padding))])
        }
        return nil
    }
}

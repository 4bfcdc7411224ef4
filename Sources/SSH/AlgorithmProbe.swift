// SPDX-License-Identifier: Apache-2.0

import Foundation

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

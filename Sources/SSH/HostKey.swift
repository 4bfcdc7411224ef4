// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation

/// A public host key as the server offers it and as `known_hosts` keeps it.
struct HostKey: Equatable {
    /// The key in SSH's own encoding (RFC 4253, 6.6); begins with the name of its type.
    var blob: [UInt8]

    /// Like `ssh-ed25519`.
    var type: String {
        var reader = SSHWireReader(blob)
        return reader.string().map { String(decoding: $0, as: UTF8.self) } ?? "unknown"
    }

    var base64: String { Data(blob).base64EncodedString() }

    /// As `ssh-keygen -l` prints it.
    var fingerprint: String {
        let digest = Data(SHA256.hash(data: blob)).base64EncodedString()
        return "SHA256:" + digest.prefix { $0 != "=" }
    }
}

/// Reads SSH's length-prefixed strings.
struct SSHWireReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func byte() -> UInt8? { rest.popFirst() }

    mutating func uint32() -> UInt32? {
        guard rest.count >= 4 else { return nil }
        let value = rest.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        rest = rest.dropFirst(4)
        return value
    }

    mutating func string() -> [UInt8]? {
        guard let length = uint32(), rest.count >= Int(length) else { return nil }
        defer { rest = rest.dropFirst(Int(length)) }
        return Array(rest.prefix(Int(length)))
    }

    mutating func skip(_ count: Int) { rest = rest.dropFirst(count) }
}

/// Writes SSH's length-prefixed strings.
struct SSHWireWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: UInt8) { bytes.append(value) }

    mutating func uint32(_ value: UInt32) {
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }

    mutating func string(_ value: [UInt8]) {
        uint32(UInt32(value.count))
        bytes += value
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A certificate of a user's key (OpenSSH's `PROTOCOL.certkeys`), as far as it says which key it is for.
struct CertificateFile {
    var path: String
    /// Like `ecdsa-sha2-nistp256-cert-v01@openssh.com`.
    var type: String
    /// The key that it is for, in the encoding of a plain public key.
    var publicKey: [UInt8]

    private static let suffix = "-cert-v01@openssh.com"

    /// Reads a certificate; nil where the file is not there or holds none.
    init?(reading file: String) {
        path = KnownHosts.expand(file)
        guard let data = FileManager.default.contents(atPath: path), data.count < 1 << 16 else { return nil }
        let words = String(decoding: data, as: UTF8.self).split(maxSplits: 2, whereSeparator: \.isWhitespace)
        guard words.count >= 2, words[0].hasSuffix(Self.suffix), let blob = Data(base64Encoded: String(words[1])) else {
            return nil
        }
        type = String(words[0])
        var reader = SSHWireReader(Array(blob))
        guard reader.string() == Array(type.utf8), reader.string() != nil else { return nil }
        let plain = type.dropLast(Self.suffix.count)
        var writer = SSHWireWriter()
        writer.string(Array(plain.utf8))
        // After the nonce come the fields of the key: one of ed25519, two of the other kinds.
        for _ in 0..<(plain == "ssh-ed25519" ? 1 : 2) {
            guard let field = reader.string() else { return nil }
            writer.string(field)
        }
        publicKey = writer.bytes
    }

    /// The certificates of a key: of those that are named, or, where none is, the one that lies next to it.
    static func certificates(of key: PrivateKeyFile, named: [CertificateFile]?) -> [CertificateFile] {
        if let named { return named.filter { $0.publicKey == key.publicKey } }
        return [CertificateFile(reading: key.path + "-cert.pub")].compactMap(\.self)
    }
}

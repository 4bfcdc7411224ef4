// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// What can be said about a private key file before it is tried.
///
/// Never holds the private part.
struct PrivateKeyFile {
    enum State: Equatable {
        case missing
        case unreadable(String)
        /// Not a private key in any form that libssh2 reads.
        case notAKey
        case encrypted
        /// The public half alone.
        case publicOnly
        case usable
    }

    var path: String
    var state: State
    /// Like `ssh-ed25519`; nil where the file does not say without its passphrase.
    var type: String?
    /// What it is encrypted with, where the file says so in the clear.
    var cipher: String?
    /// The public key, where the file has it in the clear.
    var publicKey: [UInt8]?

    /// The ones OpenSSH tries by itself, of those that libssh2 can use.
    static let usual = ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"]

    init(inspecting file: String) {
        path = KnownHosts.expand(file)
        state = .missing
        readPrivateHalf()
        readPublicHalf()
    }

    private mutating func readPrivateHalf() {
        guard access(path, F_OK) == 0 else { return }
        guard access(path, R_OK) == 0, let data = FileManager.default.contents(atPath: path), data.count < 1 << 16
        else {
            state = .unreadable(String(cString: strerror(errno)))
            return
        }
        read(String(decoding: data, as: UTF8.self))
        if state == .usable || state == .encrypted, let mode = modeForOthers() {
            let octal = String(mode, radix: 8)
            state = .unreadable(
                "not used, as ssh does not use a private key that others can get at (mode 0\(octal)); chmod 600 "
                    + ShellQuoting.quote(path)
            )
        }
    }

    /// The permissions of a key of this user that lets others in; nil for any other.
    ///
    /// What another user owns, as a key that root keeps for a group, is that user's to see to.
    private func modeForOthers() -> mode_t? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_uid == getuid(), status.st_mode & 0o077 != 0 else { return nil }
        return status.st_mode & 0o777
    }

    private mutating func read(_ text: String) {
        state = .usable
        if text.contains("BEGIN OPENSSH PRIVATE KEY") {
            readOpenSSH(text)
        } else if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            state = .encrypted
        } else if text.contains("BEGIN RSA PRIVATE KEY") {
            type = "ssh-rsa"
        } else if !text.contains("PRIVATE KEY-----") {
            publicKey = Self.publicKey(in: text)
            type = publicKey.map { HostKey(blob: $0).type }
            state = publicKey == nil ? .notAKey : .publicOnly
        }
    }

    /// Looks for the public key beside the private one where that does not say it, or is elsewhere, as in an agent.
    private mutating func readPublicHalf() {
        guard publicKey == nil, let data = FileManager.default.contents(atPath: path + ".pub"), data.count < 1 << 16
        else { return }
        publicKey = Self.publicKey(in: String(decoding: data, as: UTF8.self))
        if state == .missing, publicKey != nil { state = .publicOnly }
        type = type ?? publicKey.map { HostKey(blob: $0).type }
    }

    /// The key of a line `TYPE BASE64 comment`.
    private static func publicKey(in text: String) -> [UInt8]? {
        let words = text.split(maxSplits: 2, whereSeparator: \.isWhitespace)
        guard words.count >= 2, let blob = Data(base64Encoded: String(words[1])) else { return nil }
        return HostKey(blob: Array(blob)).type == words[0] ? Array(blob) : nil
    }

    /// OpenSSH's `PROTOCOL.key`: magic, cipher, key derivation, its options, number of keys, public keys in the clear.
    private mutating func readOpenSSH(_ text: String) {
        let body = text.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }.joined()
        let magic = Array("openssh-key-v1\0".utf8)
        guard let data = Data(base64Encoded: body, options: .ignoreUnknownCharacters), data.starts(with: magic) else {
            state = .notAKey
            return
        }
        var reader = SSHWireReader(Array(data))
        reader.skip(magic.count)
        guard let cipher = reader.string(), reader.string() != nil, reader.string() != nil, reader.uint32() != nil,
            let key = reader.string()
        else {
            state = .notAKey
            return
        }
        publicKey = key
        type = HostKey(blob: key).type
        if cipher != Array("none".utf8) {
            state = .encrypted
            self.cipher = String(decoding: cipher, as: UTF8.self)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Crypto
import CryptoExtras
import Foundation

/// What `ansible-vault` wrote: a line that says so, and lines of hexadecimal digits.
///
/// Follows `VaultLib` and `VaultAES256` of Ansible's `parsing/vault`: a key derived by PBKDF2 with SHA-256 in 10,000
/// rounds, AES-256 in counter mode, and an HMAC with SHA-256 over what is encrypted.
struct VaultText: Sendable {
    static let mark = "$ANSIBLE_VAULT"
    private static let rounds = 10_000

    /// The name that the text gives its password, from version 1.2 on; it is a hint and not protected.
    let label: String?
    private let salt: [UInt8]
    private let digest: [UInt8]
    private let encrypted: [UInt8]

    /// Takes the text apart; nothing is decrypted.
    ///
    /// - Parameters:
    ///   - text: The text with the line that it begins with.
    ///   - place: Where a line of the text stands, counted from 0.
    /// - Throws: ``DiagnosticsError`` for what `ansible-vault` never writes, and for its ways before AES256.
    init(_ text: String, at place: (_ line: Int) -> SourceLocation) throws(DiagnosticsError) {
        func refused(_ line: Int, _ summary: String, _ remedy: String) -> DiagnosticsError {
            DiagnosticsError([Diagnostic(at: place(line), summary, remedy: remedy)])
        }
        let lines = INILine.lines(of: text).map { INILine.trimmed($0[...]) }
        let header = lines[0].split(separator: ";", omittingEmptySubsequences: false).map { INILine.trimmed($0) }
        guard header.count >= 3, header[0] == Self.mark else {
            throw refused(
                0,
                "what is marked as encrypted by Ansible Vault does not begin with `\(Self.mark);1.1;AES256`",
                "encrypt it anew with `ansible-vault encrypt_string`"
            )
        }
        guard ["1.1", "1.2"].contains(header[1]), header[2] == "AES256" else {
            throw refused(
                0,
                "the version \(header[1]) of Ansible Vault with the cipher \(header[2]) is not supported",
                "change it to AES256 with `ansible-vault rekey`"
            )
        }
        label = header.count > 3 && !header[3].isEmpty ? header[3] : nil
        if let bad = lines.indices.dropFirst().first(where: { Self.bytes(ofHex: lines[$0]) == nil }) {
            throw refused(
                bad,
                "the line holds other characters than pairs of hexadecimal digits, in what Ansible Vault encrypted",
                "restore it from its original; one changed character makes it unreadable"
            )
        }
        let parts = (Self.bytes(ofHex: lines.dropFirst().joined()) ?? [])
            .split(separator: UInt8(ascii: "\n"), maxSplits: 2, omittingEmptySubsequences: false)
            .map { Self.bytes(ofHex: String(decoding: $0, as: UTF8.self)) }
        guard parts.count == 3, let salt = parts[0], let digest = parts[1], let encrypted = parts[2],
            !salt.isEmpty, digest.count == SHA256.byteCount
        else {
            throw refused(0, "what Ansible Vault encrypted is cut off", "restore it from its original")
        }
        self.salt = salt
        self.digest = digest
        self.encrypted = encrypted
    }

    /// What was encrypted; `nil` where the password is another.
    func opened(with password: VaultPassword) -> Data? {
        guard
            let derived = try? KDF.Insecure.PBKDF2.deriveKey(
                from: password.bytes,
                salt: salt,
                using: .sha256,
                outputByteCount: 80,
                unsafeUncheckedRounds: Self.rounds
            )
        else { return nil }
        let keys = derived.withUnsafeBytes { Array($0) }
        guard
            HMAC<SHA256>.isValidAuthenticationCode(
                digest,
                authenticating: encrypted,
                using: SymmetricKey(data: keys[32..<64])
            ),
            let nonce = try? AES._CTR.Nonce(nonceBytes: keys[64..<80]),
            let padded = try? AES._CTR.decrypt(encrypted, using: SymmetricKey(data: keys[..<32]), nonce: nonce),
            let padding = padded.last, (1...16).contains(padding), padded.count >= Int(padding)
        else { return nil }
        return Data(padded.dropLast(Int(padding)))
    }

    private static func bytes(ofHex text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(digits.count / 2)
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = nibble(digits[index]), let low = nibble(digits[index + 1]) else { return nil }
            result.append(high << 4 | low)
        }
        return result
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

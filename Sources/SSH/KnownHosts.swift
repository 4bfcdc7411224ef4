// SPDX-License-Identifier: Apache-2.0

import Crypto
import Fleet
import Foundation

/// The host keys on record: the `known_hosts` files of OpenSSH (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
///
/// Read by hand and not by `libssh2_knownhost_`, which knows no markers, no wildcards and no negation, stumbles over
/// comments (libssh2 issues 1628 and 1629), and cannot say on which line an entry stands.
struct KnownHosts {
    enum Marker: String {
        case revoked = "@revoked"
        case certAuthority = "@cert-authority"
    }

    struct Entry: Equatable {
        var marker: Marker?
        var names: String
        var key: HostKey
        var file: String
        var line: Int

        /// `FILE:LINE`, for messages.
        var place: String { "\(file):\(line)" }
    }

    /// What the record says about a key that a server offers.
    enum Verdict: Equatable {
        case known
        case unknown
        /// Other keys are on record for this host.
        case changed(Entry)
        case revoked(Entry)
    }

    private(set) var entries: [Entry] = []
    /// Where the entries with a plain name are, by name: a thousand hosts would try a thousand patterns each.
    private var named: [String: [Int]] = [:]
    /// Where those are whose names have to be tried: patterns and hashes.
    private var patterned: [Int] = []
    /// How many lines the files have that end with a newline.
    private(set) var lines = 0
    /// Lines that could not be read, with their place.
    private(set) var warnings: [String] = []

    /// Reads the files that exist; one that does not is no error.
    init(files: [String]) {
        for file in files {
            let path = Self.expand(file)
            guard let data = FileManager.default.contents(atPath: path) else {
                if access(path, F_OK) == 0 { warnings.append("\(file): cannot be read") }
                continue
            }
            add(String(decoding: data, as: UTF8.self), from: file)
        }
    }

    init(text: String, name: String) { add(text, from: name) }

    /// Takes one more line of a file that ends with a newline.
    mutating func append(_ line: String, from file: String, at number: Int) {
        add(line, from: file, startingAt: number)
    }

    private mutating func add(_ text: String, from file: String, startingAt first: Int = 1) {
        lines += text.utf8.count { $0 == UInt8(ascii: "\n") }
        // By bytes, which is quick where an operator's record has thousands of lines; and `\r\n` is one `Character`, which
        // a split at `\n` does not find.
        for (index, bytes) in text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            let words = bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }
                .map { String(Substring($0)) }
            guard let word = words.first, word.utf8.first != UInt8(ascii: "#") else { continue }
            add(words[...], from: file, at: first + index)
        }
    }

    private mutating func add(_ words: ArraySlice<String>, from file: String, at line: Int) {
        var words = words
        var marker: Marker?
        if let word = words.first, word.utf8.first == UInt8(ascii: "@") {
            marker = Marker(rawValue: word)
            guard marker != nil else {
                warnings.append("\(file):\(line): unknown marker \(word)")
                return
            }
            words.removeFirst()
        }
        let fields = Array(words)
        guard fields.count >= 3, let blob = Data(base64Encoded: fields[2]) else {
            warnings.append("\(file):\(line): not a known_hosts entry (names, key type, base64 key)")
            return
        }
        let key = HostKey(blob: Array(blob))
        guard key.type == fields[1] else {
            warnings.append("\(file):\(line): says \(fields[1]), but the key is of another type")
            return
        }
        note(Entry(marker: marker, names: fields[0], key: key, file: file, line: line))
    }

    private mutating func note(_ entry: Entry) {
        if entry.names.utf8.contains(where: { "*?!|".utf8.contains($0) }) {
            patterned.append(entries.count)
        } else {
            for name in Set(entry.names.lowercased().split(separator: ",")) {
                named[String(name), default: []].append(entries.count)
            }
        }
        entries.append(entry)
    }

    // MARK: - Questions

    /// The name under which a host is on record: `host`, or `[host]:port` for any port but 22.
    static func recordName(address: String, port: Int) -> String {
        let name = address.lowercased()
        return port == 22 ? name : "[\(name)]:\(port)"
    }

    /// The entries whose names match.
    ///
    /// Certificate authorities among them are not used: libssh2 cannot check host certificates in any release up to
    /// 1.11.
    func entries(for name: String) -> [Entry] {
        let tried = patterned.filter { Self.matches(entries[$0].names, name) }
        return (named[name.lowercased(), default: []] + tried).sorted().map { entries[$0] }
    }

    func verdict(on key: HostKey, of name: String) -> Verdict {
        let matching = entries(for: name)
        if let revoked = matching.first(where: { $0.marker == .revoked && $0.key == key }) { return .revoked(revoked) }
        let plain = matching.filter { $0.marker == nil }
        if plain.contains(where: { $0.key == key }) { return .known }
        // An entry of the same type is the better one to point at.
        if let other = plain.first(where: { $0.key.type == key.type }) ?? plain.first { return .changed(other) }
        return .unknown
    }

    /// The host key methods to ask the server for, those on record first, so that it proves the key that we know.
    func preferredMethods(for names: [String]) -> [String] {
        let usual = [
            "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
            "rsa-sha2-256", "ssh-rsa",
        ]
        var seen: Set<String> = []
        return (recordedMethods(for: names) + usual).filter { seen.insert($0).inserted }
    }

    /// A list of host key methods with those on record first, otherwise in its own order, and with no other.
    func ordered(_ list: [String], for names: [String]) -> [String] {
        let recorded = Set(recordedMethods(for: names))
        return list.filter(recorded.contains) + list.filter { !recorded.contains($0) }
    }

    /// The methods by which the keys are proved that the first of the names has on record which has any.
    private func recordedMethods(for names: [String]) -> [String] {
        let found = names.lazy.map(entries(for:)).first { !$0.isEmpty } ?? []
        return found.filter { $0.marker == nil }.flatMap { entry in
            entry.key.type == "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [entry.key.type]
        }
    }

    // MARK: - Names

    static func matches(_ names: String, _ name: String) -> Bool {
        if names.hasPrefix("|1|") { return matchesHash(names, name) }
        return SSHPattern.listMatches(names, name.lowercased(), loweringPatterns: true)
    }

    /// `|1|SALT|HASH`, with HMAC-SHA1 of the name under the salt.
    private static func matchesHash(_ names: String, _ name: String) -> Bool {
        let parts = names.split(separator: "|")
        guard parts.count == 3, let salt = Data(base64Encoded: String(parts[1])),
            let hash = Data(base64Encoded: String(parts[2]))
        else { return false }
        return HMAC<Insecure.SHA1>.isValidAuthenticationCode(
            hash,
            authenticating: Data(name.utf8),
            using: SymmetricKey(data: salt)
        )
    }

    static func expand(_ path: String) -> String {
        guard path.hasPrefix("~/") else { return path }
        let home = ProcessInfo.processInfo.environment["HOME"] ?? NSHomeDirectory()
        return home + path.dropFirst(1)
    }
}

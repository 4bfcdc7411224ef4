// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What a member's own v2 store holds, as a digest: key, value, created and modified index of every key that the v2 API
/// shows, in the order of the keys.
///
/// Members with equal fingerprints give equal v3 stores when they are migrated.
///
/// Hidden keys (`/_x`) are not shown by the API, and not migrated.
package struct Fingerprint: Sendable, Hashable {
    /// SHA-256 over the keys that do not expire, neither by themselves nor with a directory above them.
    package var permanent: String
    /// SHA-256 over the keys without a TTL of their own in directories that expire; `nil` when there are none.
    ///
    /// etcdctl migrates them as permanent ones, also with `--no-ttl`.
    package var inherited: String?
    /// SHA-256 over the keys with a TTL of their own, without the time that is left; `nil` when there are none.
    package var temporary: String?
    /// Keys in all, directories not counted.
    package var keys: Int
    package var temporaryKeys: Int
    package var inheritedKeys: Int
    /// The highest modified index of all keys: the v3 revision after a migration; 0 for an empty store.
    package var newestIndex: UInt64
    /// The same without the keys that `--no-ttl` leaves out.
    package var newestPermanentIndex: UInt64
    package var directories: Int
    package var ttlDirectories: Int
    package var emptyDirectories: Int
    /// Keys whose name or value holds bytes that are not UTF-8; each such byte is migrated as U+FFFD.
    package var alteredKeys: Int
    /// The length of the whole answer: what the keys are in JSON.
    package var bytes: Int
    /// Up to ten names each.
    package var expiringNames: [Expiring]
    package var expiringDirectoryNames: [Expiring]
    package var emptyDirectoryNames: [String]
    package var alteredNames: [String]
    /// `X-Raft-Index` of the answer.
    package var raftIndex: UInt64?
    /// `X-Etcd-Index` of the answer.
    ///
    /// Proves nothing: each restart of a member adds one.
    package var etcdIndex: UInt64?

    /// Something that expires, with the seconds that were left to it when it was looked at.
    package struct Expiring: Sendable, Hashable, CustomStringConvertible {
        package var name: String
        package var seconds: Int

        package init(name: String, seconds: Int) {
            self.name = name
            self.seconds = seconds
        }

        package var description: String { "\(name) (\(seconds) s left)" }
    }

    package var temporaryNames: [String] { expiringNames.map(\.name) }
    package var ttlDirectoryNames: [String] { expiringDirectoryNames.map(\.name) }

    /// One word that is equal only where everything that migrates is.
    package var digest: String { [permanent, inherited, temporary].compactMap(\.self).joined(separator: "+") }
    /// How many `--no-ttl` does not leave out.
    package var permanentKeys: Int { keys - temporaryKeys }

    /// What a store looks like to a migration that leaves keys with a TTL out.
    package func digest(withoutTTL: Bool) -> String { withoutTTL ? permanent : digest }
    package func keys(withoutTTL: Bool) -> Int { withoutTTL ? permanentKeys : keys }
    package func newestIndex(withoutTTL: Bool) -> UInt64 { withoutTTL ? newestPermanentIndex : newestIndex }

    /// Reads what ``script(_:)`` prints.
    ///
    /// - Throws: the member's refusal, or what was not understood; with the host's name left empty.
    init(report: String, host: String) throws(EtcdProbeError) {
        var values: [Substring: [Substring]] = [:]
        for line in report.split(whereSeparator: \.isNewline) {
            let name = line.prefix { $0 != " " }
            values[name, default: []].append(line[name.endIndex...].drop { $0 == " " })
        }
        let head = values["head"] ?? []
        if let odd = values["odd"]?.first {
            throw EtcdProbeError(.unparsable, host: host, "the v2 keys cannot be read: \(odd)")
        }
        try Self.refuse(head: head, said: values["said"]?.first, host: host)
        func number<Number: FixedWidthInteger>(_ name: Substring) throws(EtcdProbeError) -> Number {
            if let number = values[name]?.first.flatMap({ Number($0) }) { return number }
            throw EtcdProbeError(
                .unparsable,
                host: host,
                "the v2 keys cannot be counted: \(ProbeAnswer.excerpt(report))",
                remedy: "check that awk and sha256sum work on the node"
            )
        }
        func header(_ name: String) -> UInt64? {
            head.lazy.filter { $0.lowercased().hasPrefix(name + ": ") }.compactMap {
                UInt64($0.dropFirst(name.count + 2))
            }
            .first
        }
        func names(_ name: Substring) -> [String] {
            (values[name] ?? []).map { decodeJSON(String.self, $0.utf8) ?? String($0) }
        }
        func expiring(_ name: Substring) -> [Expiring] {
            (values[name] ?? []).map { line in
                let seconds = line.prefix { $0 != " " }
                let text = line[seconds.endIndex...].drop { $0 == " " }
                return Expiring(name: decodeJSON(String.self, text.utf8) ?? String(text), seconds: Int(seconds) ?? 0)
            }
        }
        let digest = values["permanent"]?.first?.prefix { $0 != " " } ?? ""
        guard digest.utf8.count == 64 else {
            throw EtcdProbeError(.tool, host: host, "sha256sum gave no digest", remedy: "install coreutils on the node")
        }
        permanent = String(digest)
        temporaryKeys = try number("temporaries")
        temporary = temporaryKeys == 0 ? nil : values["temporary"]?.first.map { String($0.prefix { $0 != " " }) }
        inheritedKeys = try number("inheriteds")
        inherited = inheritedKeys == 0 ? nil : values["inherited"]?.first.map { String($0.prefix { $0 != " " }) }
        keys = try number("permanents") + temporaryKeys + inheritedKeys
        newestIndex = try number("newest")
        newestPermanentIndex = try number("newest_permanent")
        directories = try number("directories")
        ttlDirectories = try number("ttl_directories")
        emptyDirectories = try number("empty_directories")
        alteredKeys = try number("altered")
        bytes = try number("bytes")
        expiringNames = expiring("temporary_name")
        expiringDirectoryNames = expiring("ttl_directory_name")
        emptyDirectoryNames = names("empty_directory_name")
        alteredNames = names("altered_name")
        raftIndex = header("x-raft-index")
        etcdIndex = header("x-etcd-index")
    }

    /// Throws what the member, or curl, said instead of its keys.
    private static func refuse(head: [Substring], said: Substring?, host: String) throws(EtcdProbeError) {
        let exitCode = head.last { $0.hasPrefix("curl ") }.flatMap { Int($0.dropFirst("curl ".count)) }
        let status = head.last { $0.hasPrefix("HTTP/") }?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        let answer = said.map { ": " + ProbeAnswer.excerpt(String($0)) } ?? ""
        guard exitCode == 0, let status else {
            let reason =
                head.first { $0.hasPrefix("curl:") } ?? "curl ended with \(exitCode.map(String.init) ?? "nothing")"
            throw EtcdProbeError(.noAnswer, host: host, "etcd does not give its v2 keys: \(reason)")
        }
        switch status {
        case 200:
            return
        case 404:
            throw EtcdProbeError(
                .v2Off,
                host: host,
                "etcd's v2 API is off (HTTP 404\(answer))",
                remedy: "start etcd with --enable-v2=true; since 3.4.0 it is off by default"
            )
        case 401, 403:
            throw EtcdProbeError(
                .denied,
                host: host,
                "etcd does not show its v2 keys (HTTP \(status)\(answer))",
                remedy: "turn v2 authentication off, or give its guest role the right to read"
            )
        default:
            throw EtcdProbeError(.unparsable, host: host, "etcd answers HTTP \(status) for its v2 keys\(answer)")
        }
    }
}

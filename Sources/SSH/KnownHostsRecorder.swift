// SPDX-License-Identifier: Apache-2.0

import Crypto
import Foundation
import Synchronization

/// Writes a host key down, for the policy that accepts new ones.
enum KnownHostsRecorder {
    /// Sessions of this process write one after the other.
    private static let turn = Mutex(())

    /// Appends one line, unless the key is on record by now.
    ///
    /// Several sessions may meet the same new host at once. The record is read again in turn, so that the one that
    /// comes second compares with what the first wrote, and two different keys are never both taken for new. A single
    /// `write` to a file opened for appending is atomic on a local file system, so that neither another process nor a
    /// crash leaves half a line between two others.
    ///
    /// - Parameters:
    ///   - key: the server's.
    ///   - name: the name under which the host is on record.
    ///   - file: the file that new keys are written to.
    ///   - isHashed: whether the name is written down hashed.
    ///   - cache: has what the file holds, and gets what is written.
    /// - Returns: what was on record for the host at that time.
    /// - Throws: when the file cannot be written.
    static func record(
        _ key: HostKey,
        of name: String,
        in file: String,
        isHashed: Bool = false,
        cache: KnownHostsCache = .shared
    ) throws(SSHFailure) -> KnownHosts.Verdict {
        let path = KnownHosts.expand(file)
        let result: Result<KnownHosts.Verdict, SSHFailure> = turn.withLock { _ in
            Result { () throws(SSHFailure) in
                let record = cache.record(in: [file])
                let verdict = record.verdict(on: key, of: name)
                guard verdict == .unknown else { return verdict }
                let names = isHashed ? hashed(name) : name
                if let addition = try append("\(names) \(key.type) \(key.base64)\n", behind: record.lines, to: path) {
                    cache.note(addition, to: file)
                }
                return verdict
            }
        }
        return try result.get()
    }

    /// As `HashKnownHosts` has it: `|1|SALT|HASH`, with HMAC-SHA1 of the name under the salt.
    private static func hashed(_ name: String) -> String {
        let salt = SymmetricKey(size: SymmetricKeySize(bitCount: 160))
        let hash = HMAC<Insecure.SHA1>.authenticationCode(for: Data(name.utf8), using: salt)
        return "|1|\(salt.withUnsafeBytes { Data($0) }.base64EncodedString())|\(Data(hash).base64EncodedString())"
    }

    /// Returns what was written, where it is a line by itself.
    private static func append(
        _ line: String,
        behind lines: Int,
        to path: String
    ) throws(SSHFailure) -> KnownHostsCache.Addition? {
        let folder = URL(filePath: path).deletingLastPathComponent().path(percentEncoded: false)
        if mkdir(folder, 0o700) != 0, errno != EEXIST { throw .system("mkdir \(folder)", errno) }
        let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("open \(path)", errno) }
        defer { close(descriptor) }
        let before = KnownHostsCache.Stamp(of: descriptor)
        var last: UInt8 = UInt8(ascii: "\n")
        if before.size > 0 { _ = pread(descriptor, &last, 1, off_t(before.size - 1)) }
        let isByItself = last == UInt8(ascii: "\n")
        let text = Array(((isByItself ? "" : "\n") + line).utf8)
        // What is no file, as /dev/null, takes no flush.
        guard write(descriptor, text, text.count) == text.count,
            fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS
        else { throw .system("write \(path)", errno) }
        guard isByItself else { return nil }
        return .init(line: line, number: lines + 1, before: before, after: .init(of: descriptor))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// One command as it goes over a channel: what goes in, and where what comes out is put.
struct ChannelRequest: Sendable {
    enum Input: Sendable {
        case bytes([UInt8])
        /// A local file, read as it is sent.
        case file(URL)
    }

    enum Output: Sendable {
        case memory
        /// A new local file (0600), written as it comes in.
        case file(URL)
    }

    var label: String
    var script: String
    var input: Input
    var output: Output
    var timeout: Duration
    /// Whom it runs as; nil for the login user.
    var user: String?
    /// Gets standard output as it comes in.
    var onOutput: (@Sendable ([UInt8]) -> Void)?
}

/// What came out of a command whose end was seen.
struct ChannelResult: Sendable {
    var exitCode: Int
    var standardOutput: [UInt8]
    var standardError: [UInt8]
    /// SHA-256 of standard output where it went to a file.
    var digest: String?
}

/// Reads what goes to standard input, a piece at a time.
///
/// Not `Sendable`: belongs to one running command.
final class InputReader {
    private var piece: [UInt8]
    private var offset = 0
    private var file: FileHandle?
    /// Whether a piece may be followed by another.
    private var hasMore: Bool

    private static let pieceSize = 256 * 1024

    init(prefix: [UInt8], _ input: ChannelRequest.Input) throws(SSHFailure) {
        switch input {
        case .bytes(let bytes):
            piece = prefix.isEmpty ? bytes : prefix + bytes
            hasMore = false
        case .file(let url):
            piece = prefix
            hasMore = true
            do {
                file = try FileHandle(forReadingFrom: url)
            } catch {
                throw SSHFailure(kind: .local, message: "cannot read \(url.path(percentEncoded: false)): \(error)")
            }
        }
    }

    deinit { try? file?.close() }

    /// Whether all was taken.
    func isAtEnd() throws(SSHFailure) -> Bool {
        if offset < piece.count { return false }
        guard hasMore, let file else { return true }
        do {
            piece = Array(try file.read(upToCount: Self.pieceSize) ?? Data())
        } catch {
            throw SSHFailure(kind: .local, message: "cannot read the local file: \(error)")
        }
        offset = 0
        hasMore = !piece.isEmpty
        return piece.isEmpty
    }

    /// Offers what is not yet taken; the body says how much it took.
    ///
    /// The same bytes stay at the same place until then, which libssh2 asks for.
    func offer(_ body: (UnsafeRawBufferPointer) -> Attempt<Int>) -> Attempt<Int> {
        let attempt = piece.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[offset...])) }
        if case .done(let count) = attempt { offset += count }
        return attempt
    }
}

/// Takes what comes from standard output.
///
/// Not `Sendable`: belongs to one running command.
final class OutputWriter {
    private(set) var bytes: [UInt8] = []
    private var descriptor: Int32 = -1
    private var digest = ContentDigest()
    /// The first thing that went wrong while writing.
    private(set) var failure: SSHFailure?

    init(_ output: ChannelRequest.Output) throws(SSHFailure) {
        guard case .file(let url) = output else { return }
        let path = url.path(percentEncoded: false)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system("cannot write \(path)", errno) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    func take(_ chunk: UnsafeRawBufferPointer) {
        guard descriptor >= 0 else {
            bytes += chunk
            return
        }
        digest.update(chunk)
        var rest = chunk[...]
        while !rest.isEmpty, failure == nil {
            let count = write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                failure = .system("cannot write the local file", errno)
            }
        }
    }

    /// Brings a file to the disk; its SHA-256.
    func finish() throws(SSHFailure) -> String? {
        if let failure { throw failure }
        guard descriptor >= 0 else { return nil }
        guard fsync(descriptor) == 0 else { throw .system("cannot write the local file", errno) }
        return digest.hexadecimal
    }
}

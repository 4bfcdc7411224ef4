// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// One command as it goes over a channel: what goes in, and where what comes out is put.
struct ChannelRequest: Sendable {
    enum Input: Sendable {
        case bytes([UInt8])
        /// A local file behind its first bytes, read as it is sent.
        case file(URL, from: Int)
    }

    enum Output: Sendable {
        case memory
        /// A local file (0600), written as it comes in: a new one, or one that is there and has this digest so far.
        case file(URL, after: ContentDigest?)
    }

    var label: String
    var script: String
    var input: Input
    var output: Output
    var timeout: Duration
    /// Whom it runs as; nil for the login user.
    var user: String?
    /// Whether no shell is started ahead for the next one.
    var isLast = false
    /// Gets standard output as it comes in.
    var onOutput: (@Sendable ([UInt8]) -> Void)?
    /// Gets how many bytes of a local file were sent or written so far.
    var onProgress: (@Sendable (Int) -> Void)?

    /// A file that comes over a long way needs more on the way.
    var receiveWindow: SessionHandle.ReceiveWindow {
        if case .file = output { return .ofFile }
        return .ofCommand
    }

    /// Whether the command has standard input of its own.
    var hasInput: Bool {
        if case .bytes(let bytes) = input { return !bytes.isEmpty }
        return true
    }
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
    /// What of the offered bytes is not of the file.
    private var prefixLeft: Int
    private var sent = 0
    private let onProgress: (@Sendable (Int) -> Void)?

    private static let pieceSize = 256 * 1024

    init(
        prefix: [UInt8],
        _ input: ChannelRequest.Input,
        onProgress: (@Sendable (Int) -> Void)? = nil
    ) throws(SSHFailure) {
        prefixLeft = prefix.count
        self.onProgress = onProgress
        switch input {
        case .bytes(let bytes):
            piece = prefix.isEmpty ? bytes : prefix + bytes
            hasMore = false
        case .file(let url, let start):
            piece = prefix
            hasMore = true
            do {
                file = try FileHandle(forReadingFrom: url)
                try file?.seek(toOffset: UInt64(start))
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
        if case .done(let count) = attempt { taken(count) }
        return attempt
    }

    private func taken(_ count: Int) {
        offset += count
        let ofFile = max(0, count - prefixLeft)
        prefixLeft -= count - ofFile
        sent += ofFile
        if ofFile > 0, file != nil { onProgress?(sent) }
    }
}

/// Takes what comes from standard output.
///
/// Not `Sendable`: belongs to one running command.
final class OutputWriter {
    private(set) var bytes: [UInt8] = []
    private var descriptor: Int32 = -1
    private var digest: ContentDigest
    private var written = 0
    private let onProgress: (@Sendable (Int) -> Void)?
    /// The first thing that went wrong while writing.
    private(set) var failure: SSHFailure?

    init(_ output: ChannelRequest.Output, onProgress: (@Sendable (Int) -> Void)? = nil) throws(SSHFailure) {
        self.onProgress = onProgress
        guard case .file(let url, let known) = output else {
            digest = ContentDigest()
            return
        }
        digest = known ?? ContentDigest()
        let path = url.path(percentEncoded: false)
        let how = known == nil ? O_CREAT | O_EXCL : O_APPEND | O_NOFOLLOW
        descriptor = open(path, O_WRONLY | O_CLOEXEC | how, 0o600)
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
        written += chunk.count
        onProgress?(written)
    }

    /// Brings a file to the disk; its SHA-256.
    func finish() throws(SSHFailure) -> String? {
        if let failure { throw failure }
        guard descriptor >= 0 else { return nil }
        guard fsync(descriptor) == 0 else { throw .system("cannot write the local file", errno) }
        return digest.hexadecimal
    }
}

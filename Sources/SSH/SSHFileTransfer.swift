// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// Moves one file over a connection.
///
/// Over a command's standard input or output, not over SFTP: one round trip and not one a piece, and the digest is taken
/// where the file is.
struct SSHFileTransfer {
    private let connection: SSHConnection
    private let user: String?
    private let transfer: FileTransfer
    private let deadline: ContinuousClock.Instant

    init(_ transfer: FileTransfer, over connection: SSHConnection, as user: String?) {
        self.connection = connection
        self.user = user
        self.transfer = transfer
        deadline = .now + transfer.timeout
    }

    // MARK: - Up

    func upload() async throws(RemoteError) {
        let label = "upload to \(transfer.path)"
        let path = transfer.file.path(percentEncoded: false)
        guard let whole = await digest(of: transfer.file) else {
            throw error("\(label): \(path) cannot be read")
        }
        let start = transfer.goesOn ? try await partOnNode(label, of: whole) : 0
        let result = try await execute(
            label,
            FileTransferScript.upload(to: transfer.path, mode: transfer.mode, whole: whole, from: start),
            input: .file(transfer.file, from: start),
            onProgress: progress(from: start, of: whole.size)
        )
        guard result.exitCode != 0 else { return }
        let said = Self.words(result)
        switch result.exitCode {
        case FileTransferScript.mismatchExitCode:
            throw error(
                "\(label): \(said), left with \(whole.digest)",
                remedy: "the part was removed and \(transfer.path) is as it was; try again"
            )
        case FileTransferScript.cutShortExitCode:
            throw error("\(label): \(said)", remedy: "\(path) became shorter while it was read; try again")
        default: throw error("\(label): exit code \(result.exitCode): \(said)")
        }
    }

    /// How many bytes of the file an earlier upload left on the node; 0 where they are of another file.
    private func partOnNode(
        _ label: String,
        of whole: FileTransferScript.Part
    ) async throws(RemoteError) -> Int {
        let found = try await execute("look for an \(label)", FileTransferScript.part(of: transfer.path))
        let printed = String(decoding: found.standardOutput, as: UTF8.self)
        guard let part = FileTransferScript.Part(printed: printed), part.size <= whole.size,
            await digest(of: transfer.file, first: part.size) == part
        else { return 0 }
        return part.size
    }

    // MARK: - Down

    func download() async throws(RemoteError) {
        let label = "download of \(transfer.path)"
        let target = transfer.file.path(percentEncoded: false)
        let part = URL(filePath: target + ".part")
        var known: ContentDigest.Content?
        if transfer.goesOn { known = await content(of: part, first: nil).flatMap { $0.size > 0 ? $0 : nil } }
        var result = try await fetch(label, to: part, after: known)
        if result.exitCode == FileTransferScript.otherPartExitCode {
            result = try await fetch(label, to: part, after: nil)
        }
        // From here on nothing is left for another try: all was said.
        defer { unlink(part.path(percentEncoded: false)) }
        let said = Self.words(result)
        guard result.exitCode == 0 else { throw error("\(label): exit code \(result.exitCode): \(said)") }
        guard let digest = result.digest, said.split(separator: "\n").last.map(String.init) == digest else {
            throw error("\(label): left with sha256 \(said), arrived with \(result.digest ?? "none")")
        }
        guard rename(part.path(percentEncoded: false), target) == 0 else {
            throw error("\(label): cannot write \(target): \(String(cString: strerror(errno)))")
        }
    }

    private func fetch(
        _ label: String,
        to part: URL,
        after known: ContentDigest.Content?
    ) async throws(RemoteError) -> ChannelResult {
        if known == nil { unlink(part.path(percentEncoded: false)) }
        return try await execute(
            label,
            FileTransferScript.download(
                transfer.path,
                after: known.map { .init(size: $0.size, digest: $0.digest.hexadecimal) }
            ),
            output: .file(part, after: known?.digest),
            onProgress: progress(from: known?.size ?? 0, of: nil)
        )
    }

    // MARK: - Both

    private func execute(
        _ label: String,
        _ script: String,
        input: ChannelRequest.Input = .bytes([]),
        output: ChannelRequest.Output = .memory,
        onProgress: (@Sendable (Int) -> Void)? = nil
    ) async throws(RemoteError) -> ChannelResult {
        try await connection.execute(
            ChannelRequest(
                label: label,
                script: script,
                input: input,
                output: output,
                timeout: deadline - .now,
                user: user,
                onProgress: onProgress
            )
        )
    }

    private func progress(from start: Int, of total: Int?) -> (@Sendable (Int) -> Void)? {
        guard let onProgress = transfer.onProgress else { return nil }
        return { onProgress(start + $0, total) }
    }

    private func content(of file: URL, first count: Int?) async -> ContentDigest.Content? {
        await BlockingPool.shared.run { try? ContentDigest.ofFile(file, first: count) }
    }

    private func digest(of file: URL, first count: Int? = nil) async -> FileTransferScript.Part? {
        await content(of: file, first: count).map { .init(size: $0.size, digest: $0.digest.hexadecimal) }
    }

    private static func words(_ result: ChannelResult) -> String {
        String(decoding: result.standardError, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func error(_ message: String, remedy: String? = nil) -> RemoteError {
        connection.error(.transfer, message, remedy: remedy)
    }
}

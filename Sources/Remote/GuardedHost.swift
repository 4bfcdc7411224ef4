// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A node on which every mutating command is preceded by guards, in the same remote command.
///
/// The script runs in a subshell, so that its `exit` does not skip what follows it.
package struct GuardedHost: RemoteHost {
    private let host: any RemoteHost
    private let guards: [any MutationGuard]

    /// - Parameters:
    ///   - host: the way to the node.
    ///   - guards: the first is asked first; what one refuses, the next does not see.
    package init(_ host: any RemoteHost, guards: [any MutationGuard]) {
        self.host = host
        self.guards = guards
    }

    package var name: String { host.name }

    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        guard command.effect == .mutating, !guards.isEmpty else { return try await host.run(command) }
        let refusal = GuardRefusal()
        var guarded = command
        guarded.script = refusal.function
        for item in guards { guarded.script += try await item.prologue(for: command) + "\n" }
        let lastWords = guards.map { $0.lastWord(for: command) }.joined()
        guarded.script += command.asksAgain ? "guard_again() {\n:\n\(lastWords)}\n" : lastWords
        guarded.script += "(\n\(command.script)\n)\nguard_code=$?\n"
        // Where the last word was a refusal, the script was not begun, and nothing has ended.
        if command.asksAgain {
            let refused = GuardRefusal.exitCode
            guarded.script += "[ \"$guard_code\" != \(refused) ] || exit \(refused)\n"
        }
        for item in guards.reversed() { guarded.script += await item.epilogue(for: command) + "\n" }
        guarded.script += "exit \"$guard_code\"\n"
        let result = try await host.run(guarded)
        if let error = refusal.error(in: result, of: command, on: name) { throw error }
        for item in guards { await item.passed(command) }
        return result
    }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        // What refuses a command refuses a file, which is written by a command of the transport's own.
        _ = try await run(RemoteCommand("upload to \(transfer.path)", script: ":", effect: .mutating))
        try await host.upload(transfer)
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        try await host.download(transfer)
    }

    package func elevated(as user: String) -> any RemoteHost {
        GuardedHost(host.elevated(as: user), guards: guards)
    }

    package func close() async { await host.close() }
}

/// How a guard's refusal is told apart from anything that the script itself may print or exit with.
private struct GuardRefusal {
    static let exitCode = 79
    private let nonce: String

    init() {
        var random = SystemRandomNumberGenerator()
        nonce = String(random.next(), radix: 36)
    }

    var function: String {
        """
        guard_refuse() {
          printf '\\036\(nonce) %s\\036%s\\036%s\\n' "$(printf '%s' "$1" | tr '\\n' '\\037')" "${2-}" "${3-}" >&2
          exit \(Self.exitCode)
        }

        """
    }

    func error(in result: CommandResult, of command: RemoteCommand, on host: String) -> RemoteError? {
        guard result.exitCode == Self.exitCode else { return nil }
        let mark = "\u{1e}\(nonce) "
        guard let line = result.errorOutput.split(separator: "\n").last(where: { $0.hasPrefix(mark) }) else {
            return nil
        }
        let words = line.dropFirst(mark.count).split(
            separator: "\u{1e}",
            maxSplits: 2,
            omittingEmptySubsequences: false
        )
        let lines = words[0].split(separator: "\u{1f}").map(String.init)
        let second = words.count > 1 ? String(words[1]) : ""
        let kind = words.count > 2 ? words[2] : ""
        if kind == LockGuard.kind {
            return LockGuard.refusal(of: command.label, on: host, lines: lines, unlock: second)
        }
        return RemoteError(
            kind == "unrecorded" ? .unrecorded : .fenced,
            host: host,
            "\(command.label): \(lines.joined(separator: " "))",
            remedy: second.isEmpty ? nil : second
        )
    }
}

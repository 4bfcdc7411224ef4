// SPDX-License-Identifier: Apache-2.0

import Playbooks
import Remote

extension Command {
    /// What the playbook says success looks like.
    struct Expectation: Sendable {
        private enum Stream: String {
            case stdout
            case stderr
        }

        private struct Text: Sendable {
            var stream: Stream
            var text: String
            var isWanted: Bool

            /// What the stream did or should do, as `stdout holds "finished"`.
            var fulfilled: String { "\(stream.rawValue) \(isWanted ? "holds" : "does not hold") \"\(text)\"" }
            var broken: String { "\(stream.rawValue) \(isWanted ? "does not hold" : "holds") \"\(text)\"" }

            func isFulfilled(by result: CommandResult) -> Bool {
                let output = stream == .stdout ? result.output : result.errorOutput
                return output.contains(text) == isWanted
            }
        }

        let exitCode: Int
        private let texts: [Text]

        init(_ parameters: Parameters) {
            exitCode = parameters.integer("exit") ?? 0
            let all: [(name: String, stream: Stream, isWanted: Bool)] = [
                ("stdout", .stdout, true), ("stdout_not", .stdout, false),
                ("stderr", .stderr, true), ("stderr_not", .stderr, false),
            ]
            texts = all.compactMap { entry in
                parameters.string(entry.name).map { Text(stream: entry.stream, text: $0, isWanted: entry.isWanted) }
            }
        }

        /// What was looked at, for the evidence.
        var proofs: [String] { texts.map(\.fulfilled) }

        /// What is not as it should be, all of it; `nil` for success.
        func complaint(about result: CommandResult) -> String? {
            let broken = texts.filter { !$0.isFulfilled(by: result) }.map(\.broken)
            if result.exitCode != exitCode {
                return (["exit code \(result.exitCode), where success is \(exitCode)"] + broken).joined(separator: "; ")
            }
            return broken.isEmpty ? nil : "exit code \(exitCode), but " + broken.joined(separator: "; ")
        }
    }
}

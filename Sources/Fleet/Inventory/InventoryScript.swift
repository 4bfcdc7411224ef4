// SPDX-License-Identifier: Apache-2.0

import Foundation

/// An executable source of an inventory: runs it, and finds out whether what it printed can be read at all.
struct InventoryScript {
    /// As the user named it.
    let path: String

    /// One answer of the script: what it means, and what is wrong or suspicious with it.
    struct Answer {
        /// `nil` for an answer that is broken, or empty.
        var root: YAMLNode?
        var problems: [Diagnostic] = []
    }

    /// Everything but the variables of hosts that the script wants to be asked for one by one.
    func list() -> Answer {
        let name = "\(path) --list"
        var answer = answer(to: ["--list"], name)
        if answer.root == nil, answer.problems.allSatisfy({ $0.severity == .warning }) {
            answer.problems.append(
                .of(
                    file: name,
                    "the script printed nothing",
                    remedy: "let it print a JSON object; `{}` is an empty one"
                )
            )
        }
        return answer
    }

    /// The variables of one host; a script may print nothing for none.
    func host(_ host: String) -> Answer { answer(to: ["--host", host], "\(path) --host \(host)") }

    private func answer(to arguments: [String], _ name: String) -> Answer {
        let program = LocalProgram(path: URL(fileURLWithPath: SourceFile.expanded(path)).path)
        let output: LocalProgram.Output
        do {
            output = try program.run(arguments)
        } catch {
            return .failed(name, "the script cannot be run: \(error.reason)", Self.shebang)
        }
        let complaint = output.complaint
        if let failure = output.failure {
            let words = complaint.isEmpty ? ", and said nothing on stderr" : ": \(complaint)"
            return .failed(name, "the script failed; \(failure)" + words, "run it by hand: \(name)")
        }
        var result = Self.read(output.bytes, name)
        if !complaint.isEmpty {
            result.problems.append(
                Diagnostic(
                    .warning,
                    at: SourceLocation(file: name, line: 1, column: 1),
                    "the script said on stderr: \(complaint)",
                    remedy: "look whether its answer is whole"
                )
            )
        }
        return result
    }

    private static let shebang = "give it a first line such as #!/usr/bin/env python3, and check that this is there"

    /// Ansible takes JSON and nothing else from a script; what YAML allows beyond would not work there.
    static func read(_ bytes: Data, _ name: String) -> Answer {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return .failed(name, "the script printed what is not UTF-8", "let it print UTF-8")
        }
        guard text.contains(where: { !$0.isWhitespace }) else { return Answer() }
        guard JSONForm.isValid(text) else {
            let head = text.split(whereSeparator: \.isNewline).first.map { String($0.prefix(60)) } ?? ""
            return .failed(name, "what the script printed is not JSON; it begins with `\(head)`", "run it: \(name)")
        }
        let (root, problems) = YAMLReader.read(text, file: name)
        guard let root, root.pairs == nil else { return Answer(root: root, problems: problems) }
        return .failed(
            name,
            "the script printed \(root.kindDescription), not a JSON object",
            "let it print `{\"GROUP\": {\"hosts\": [...]}}`"
        )
    }
}

extension InventoryScript.Answer {
    fileprivate static func failed(_ name: String, _ summary: String, _ remedy: String) -> Self {
        Self(problems: [.of(file: name, summary, remedy: remedy)])
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation
import Playbooks
import Testing

/// The page `docs/reference/playbooks.md` against the reader.
@Suite struct PlaybookPageTests {
    private static let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs/reference/playbooks.md")

    @Test func `the page lists every key that the reader knows, and no other`() throws {
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        // The refusal of a key that is like none lists them all.
        let refusal = problems("hosts: x\nsteps: [etcd_healthy]\nqqqqqqqqq: 1\n").first ?? ""
        let list = refusal.split(separator: "(keys: ").last?.dropLast() ?? ""
        let known = list.split(separator: ", ").map(String.init)
        let table = text.split(separator: "## Keys of a playbook").last?.split(separator: "\n## ").first ?? ""
        let listed = table.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) }
        #expect(known.count == 16)
        #expect(listed.sorted() == known.sorted())
    }

    @Test func `the page's example is a playbook`() throws {
        let text = try String(contentsOf: Self.page, encoding: .utf8)
        let parts = text.split(separator: "```")
        let example = try #require(parts.first { $0.hasPrefix("yaml\n") }).dropFirst("yaml\n".count)
        let playbook = try readPlaybook(String(example))
        let variables = VariableScope(playbook: playbook, extra: [:]).variables(inventory: [:])
        for section in Playbook.Section.allCases {
            for step in playbook.steps(in: section) {
                _ = try step.resolved(variables: variables, actions: SampleActions.all)
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Engine
import Remote

/// What `pawl check` found, for people: a table of the hosts that can be worked on, then one line for each thing that is
/// wrong, which says what to do.
///
/// Where there are many hosts, those that are alike stand together.
package struct CheckReport: Sendable {
    /// As many hosts have a row each.
    package static let rowsOfTheirOwn = 24

    private let answers: [HostCheck.Answer]
    private let total: Int

    /// - Parameters:
    ///   - answers: in inventory order.
    ///   - total: how many hosts there are, of which some may not have been asked.
    package init(_ answers: [HostCheck.Answer], of total: Int) {
        self.answers = answers
        self.total = total
    }

    /// - Parameters:
    ///   - width: of the terminal; `nil` where there is none.
    ///   - style: the colours.
    /// - Returns: whole lines.
    package func text(width: Int?, style: ReportStyle = .plain) -> String {
        let usable = answers.filter(\.isUsable)
        let table = usable.count > Self.rowsOfTheirOwn ? groups(of: usable) : rows(of: usable)
        let lines = problems(style)
        return (usable.isEmpty ? "" : table.render(width: width, style: style) + "\n\n")
            + (lines.isEmpty ? "" : lines.joined(separator: "\n") + "\n\n")
            + verdict + "\n"
    }

    private var verdict: String {
        let bad = answers.count { !$0.isUsable }
        let hosts = answers.count == 1 ? "1 host" : "\(answers.count) hosts"
        let asked = answers.count < total ? "; \(total - answers.count) were not asked" : ""
        if bad > 0 { return "\(bad) of \(hosts) \(bad == 1 ? "is" : "are") not usable\(asked)" }
        let warned = answers.count { !$0.problems.isEmpty }
        return (answers.count == 1 ? "1 host, usable" : "\(hosts), all usable")
            + (warned == 0 ? "" : ", \(warned) with a warning") + asked
    }

    // MARK: - Usable hosts

    private func rows(of usable: [HostCheck.Answer]) -> Table {
        Table(
            columns: [
                .init("host"), .init("state"), .init("runs as"), .init("etcd"), .init("etcdctl"),
                .init("free for backups"),
            ],
            rows: usable.map { answer in
                [
                    .init(answer.host), Self.state(answer), .init(answer.user ?? "-"), .init(answer.etcd ?? "-"),
                    .init(answer.etcdctl ?? "-"), .init(answer.freeSpace ?? "-"),
                ]
            }
        )
    }

    private func groups(of usable: [HostCheck.Answer]) -> Table {
        struct Kind: Hashable {
            var isWarned: Bool
            var words: [String]
        }
        var kinds: [Kind] = []
        var members: [Kind: [HostCheck.Answer]] = [:]
        for answer in usable {
            let kind = Kind(
                isWarned: !answer.problems.isEmpty,
                words: [answer.user, answer.etcd, answer.etcdctl].map { $0 ?? "-" }
            )
            if members[kind] == nil { kinds.append(kind) }
            members[kind, default: []].append(answer)
        }
        return Table(
            columns: [
                .init("hosts"), .init("count", .right), .init("state"), .init("runs as"), .init("etcd"),
                .init("etcdctl"),
            ],
            rows: kinds.map { kind in
                let alike = members[kind] ?? []
                let first = alike.first.map(Self.state) ?? ""
                return [.init(FoldedNames.text(alike.map(\.host))), .init("\(alike.count)"), first]
                    + kind.words.map { Table.Cell($0) }
            }
        )
    }

    private static func state(_ answer: HostCheck.Answer) -> Table.Cell {
        answer.problems.isEmpty ? .init("ok", .ok) : .init("warning", .warning)
    }

    // MARK: - What is wrong

    private struct Equal {
        var problem: HostProblem
        var common: CommonError
        var hosts: [String]
    }

    /// Problems that are the same but for words of the hosts' own, in the order in which they were first seen.
    private var equals: [Equal] {
        var found: [Equal] = []
        for answer in answers {
            for problem in answer.problems {
                if let index = found.indices.first(where: { found[$0].common.take(problem.common) }) {
                    found[index].hosts.append(answer.host)
                } else {
                    found.append(Equal(problem: problem, common: problem.common, hosts: [answer.host]))
                }
            }
        }
        return found
    }

    /// What keeps hosts from being worked on first, what most of them have first.
    private func problems(_ style: ReportStyle) -> [String] {
        let found = equals
        func isBefore(_ one: Int, _ two: Int) -> Bool {
            let (first, second) = (found[one], found[two])
            if first.problem.isWarning != second.problem.isWarning { return !first.problem.isWarning }
            return first.hosts.count == second.hosts.count ? one < two : first.hosts.count > second.hosts.count
        }
        return found.indices.sorted(by: isBefore).map { line(found[$0], style) }
            + (found.contains { $0.common.isRemedyFolded } ? ["", CommonErrorHint.text] : [])
    }

    private func line(_ equal: Equal, _ style: ReportStyle) -> String {
        let isOne = equal.hosts.count == 1
        let message = isOne ? equal.problem.message : equal.common.message
        let remedy = isOne ? equal.problem.remedy : equal.common.remedy
        let hosts = FoldedNames.text(equal.hosts) + (isOne ? "" : " (\(equal.hosts.count) hosts)")
        let role: ReportStyle.Role = equal.problem.isWarning ? .warning : .failure
        return style.paint(VisibleText.line(hosts), role) + ": "
            + VisibleText.line(
                (equal.problem.isWarning ? "warning: " : "") + message + (remedy.map { "; \($0)" } ?? "")
            )
    }
}

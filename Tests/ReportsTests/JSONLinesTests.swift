// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Rollout
import Testing

@testable import Reports

struct JSONLinesTests {
    /// One event of each kind with all that it can hold; docs/reference/events.md shows the line of each.
    static let samples: [RunEvent] = [
        Sequences.event(0, .runStarted(Sequences.header)),
        Sequences.event(0.1, .stageStarted(phase: .steps, host: "n1", title: "Migrate n1")),
        Sequences.event(0.2, .stepStarted(Sequences.stop, attempt: 1)),
        Sequences.event(0.75, .stepProgress(Sequences.stop, "waiting for the process to end")),
        Sequences.event(
            1.25,
            .stepFinished(
                Sequences.stop,
                StepReport(
                    status: .failed,
                    message: "etcd still runs",
                    remedy: "look at journalctl -u etcd",
                    values: ["pid": "4711"],
                    elapsedSeconds: 1.05
                )
            )
        ),
        Sequences.event(2, .undoStarted(Sequences.stop)),
        Sequences.event(
            3,
            .undoFinished(
                Sequences.stop,
                StepReport(
                    status: .inDoubt,
                    message: "connection lost",
                    remedy: "pawl resume",
                    values: ["unit": "etcd"],
                    elapsedSeconds: 1
                )
            )
        ),
        Sequences.event(4, .notice(Notice(.info, host: "n1", "quorum: 3 of 3 healthy, 2 remain, 2 needed"))),
        Sequences.event(5, .halted(Sequences.halt)),
        Sequences.event(62, .finished(Sequences.summary)),
    ]

    private static var page: String {
        get throws {
            var root = URL(filePath: #filePath)
            while !FileManager.default.fileExists(atPath: root.appending(path: "Package.swift").path) {
                root.deleteLastPathComponent()
                try #require(root.path != "/", "Package.swift is not above \(#filePath)")
            }
            return try String(contentsOf: root.appending(path: "docs/reference/events.md"), encoding: .utf8)
        }
    }

    /// The text under the heading of an event.
    private static func section(_ name: String) throws -> String {
        let rest = try #require(try page.split(separator: "\n## `\(name)`\n").dropFirst().first, "no heading `\(name)`")
        return rest.split(separator: "\n## ").first.map(String.init) ?? ""
    }

    /// The keys in the first column of the tables of a text.
    private static func documentedKeys(_ text: String) -> Set<String> {
        Set(
            text.split(separator: "\n").compactMap { line in
                (try? /\| `([^`]+)` \|.*/.wholeMatch(in: line)).map { String($0.1) }
            }
        )
    }

    /// The keys of a line with those within, as `report.members[].host`.
    ///
    /// What is in `values` is the action's own.
    private static func keys(_ value: Any, _ path: String = "") -> Set<String> {
        switch value {
        case let object as [String: Any]:
            return object.reduce(into: []) { keys, entry in
                let key = path.isEmpty ? entry.key : "\(path).\(entry.key)"
                keys.insert(key)
                if key != "values" { keys.formUnion(Self.keys(entry.value, key)) }
            }
        case let list as [Any]:
            return list.reduce(into: []) { $0.formUnion(Self.keys($1, path + "[]")) }
        default:
            return []
        }
    }

    @Test func `there is a sample of every event`() {
        #expect(Set(Self.samples.map { EventRecord.Name($0.kind) }) == Set(EventRecord.Name.allCases))
    }

    @Test(arguments: EventRecord.Name.allCases)
    func `the reference has every event and exactly the keys that it can have`(name: EventRecord.Name) throws {
        let sample = try #require(Self.samples.first { EventRecord.Name($0.kind) == name })
        let line = try EventRecord(sample).line()
        let made = Self.keys(try JSONSerialization.jsonObject(with: Data(line.utf8)))
        let common = Self.documentedKeys(try Self.section("event"))
        let documented = Self.documentedKeys(try Self.section(name.rawValue))
        #expect(common == ["event", "at", "run", "group"])
        #expect(made.subtracting(common) == documented)
    }

    @Test(arguments: EventRecord.Name.allCases)
    func `the sample in the reference is what the encoder writes`(name: EventRecord.Name) throws {
        let sample = try #require(Self.samples.first { EventRecord.Name($0.kind) == name })
        let section = try Self.section(name.rawValue)
        let block = try #require(section.split(separator: "```json\n").dropFirst().first?.split(separator: "\n").first)
        #expect(String(block) == (try EventRecord(sample).line()))
        #expect(try JSONDecoder().decode(EventRecord.self, from: Data(block.utf8)) == EventRecord(sample))
    }

    @Test(arguments: [Sequences.success, Sequences.halted, Sequences.refused, Sequences.resumed, Sequences.hostileRun])
    func `each event is one line that reads back as what it was`(events: [RunEvent]) throws {
        let output = Output()
        let view = JSONLinesView(sink: output.sink)
        for event in events { view.receive(event) }
        let lines = output.text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == events.count + 1)
        #expect(lines.last == "")
        for (line, event) in zip(lines, events) {
            #expect(try JSONDecoder().decode(EventRecord.self, from: Data(line.utf8)) == EventRecord(event))
            // JSON escapes U+0000 to U+001F; a terminal that shows the line gets no control sequence.
            #expect(!line.unicodeScalars.contains { $0.value < 0x20 })
        }
    }

    @Test func `texts are as they were, not escaped for a terminal`() throws {
        let record = EventRecord(Sequences.event(0, .notice(Notice(.info, Sequences.hostile))))
        let line = Data(try record.line().utf8)
        #expect(try JSONDecoder().decode(EventRecord.self, from: line).message == Sequences.hostile)
    }

    @Test func `numbers that JSON does not know do not break a line`() throws {
        for seconds in [Double.nan, .infinity, -.infinity, 1e300] {
            let report = Sequences.report(.done, "x", [:], seconds)
            let event = RunEvent(at: seconds, run: "r", kind: .stepFinished(Sequences.stop, report))
            let line = try EventRecord(event).line()
            #expect(line.contains("\"event\":\"step_finished\""))
        }
    }

    @Test(
        arguments: [
            (0.0, "1970-01-01T00:00:00.000Z"),
            (1_795_230_721.25, "2026-11-21T03:12:01.250Z"),
            (1_795_230_721.9996, "2026-11-21T03:12:02.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (4_107_542_399.999, "2100-02-28T23:59:59.999Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-0.001, "1969-12-31T23:59:59.999Z"),
            (253_402_300_799, "9999-12-31T23:59:59.000Z"),
        ]
    )
    func `times are RFC 3339 in UTC with milliseconds`(seconds: Double, text: String) {
        #expect(ReportTime.stamp(seconds) == text)
    }

    @Test(
        arguments: [
            (0, "0.0s"), (0.04, "0.0s"), (9.96, "10.0s"), (59.94, "59.9s"), (59.96, "59s"), (60, "1m 00s"),
            (3599, "59m 59s"), (3600, "1h 00m 00s"), (-1, "0.0s"), (Double.nan, "0.0s"),
        ]
    )
    func `spans are written for people`(seconds: Double, text: String) {
        #expect(ReportTime.span(seconds) == text)
    }
}

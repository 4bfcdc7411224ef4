// SPDX-License-Identifier: Apache-2.0

import Engine

/// A run as JSON Lines, for programs: each event is one object on one line, as docs/reference/events.md says.
package struct JSONLinesView: RunView {
    private let group: String?
    private let sink: TextSink

    /// - Parameters:
    ///   - group: the cluster, where several are rolled side by side.
    ///   - sink: receives one line at a time, with its line break.
    package init(group: String? = nil, sink: @escaping TextSink) {
        self.group = group
        self.sink = sink
    }

    package func receive(_ event: RunEvent) {
        do {
            var record = EventRecord(event)
            record.group = group
            sink(try record.line() + "\n")
        } catch {
            // Every value of a record has a form in JSON. Should that ever be untrue, a reader must see the gap.
            let text = "the event \(EventRecord.Name(event.kind).rawValue) has no form in JSON: \(error)"
            let notice = RunEvent(at: event.at, run: event.run, kind: .notice(Notice(.warning, text)))
            if let line = try? EventRecord(notice).line() { sink(line + "\n") }
        }
    }
}

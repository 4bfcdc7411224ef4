// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation

/// A run as plain lines, for logs, CI and terminals that cannot do more. No control characters but line breaks.
package actor PlainView: RunView {
    private let sink: TextSink
    private var text: EventText

    /// - Parameters:
    ///   - timeZone: the zone of the times at the beginning of the lines.
    ///   - sink: receives whole lines with their line breaks.
    package init(timeZone: TimeZone = .current, sink: @escaping TextSink) {
        self.sink = sink
        text = EventText(style: .plain, timeZone: timeZone)
    }

    package func receive(_ event: RunEvent) {
        sink(text.lines(for: event).map { $0 + "\n" }.joined())
    }
}

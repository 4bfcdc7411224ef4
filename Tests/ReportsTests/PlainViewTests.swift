// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Reports
import Rollout
import Testing

struct PlainViewTests {
    private func text(_ events: [RunEvent], zone: TimeZone = .utc) async -> String {
        let output = Output()
        let view = PlainView(timeZone: zone, sink: output.sink)
        for event in events { await view.receive(event) }
        return output.text
    }

    @Test func `show`() async {
        for e in [Sequences.success, Sequences.halted, Sequences.refused, Sequences.resumed] {
            print(await text(e)); print("-----")
        }
    }
}

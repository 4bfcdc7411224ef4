// SPDX-License-Identifier: Apache-2.0

import Actions
import Foundation
import Rollout

/// How long each member did not serve: from the order to stop it to its first healthy answer.
///
/// The beginning is a fact of the run, so that the time is right when another controller sees the end.
struct OutageClock: Sendable {
    let facts: any FactLedger

    func stepBegins(_ step: PlannedStep) async {
        guard let host = step.host, step.availability == .takesOut || step.availability == .bounces else { return }
        try? await facts.record("\(host):out_since", String(Date().timeIntervalSince1970))
        try? await facts.record("\(host):unavailable_seconds", "")
    }

    /// The first read-only step that succeeds after the member was brought back is its first healthy answer.
    func stepSucceeded(_ step: PlannedStep) async {
        guard let host = step.host, step.phase == .steps, step.effect == .readOnly else { return }
        guard let since = try? await facts.fact("\(host):out_since").flatMap(Double.init) else { return }
        let known = try? await facts.fact("\(host):unavailable_seconds")
        guard known?.isEmpty ?? true else { return }
        let seconds = Date().timeIntervalSince1970 - since
        try? await facts.record("\(host):unavailable_seconds", String(format: "%.3f", seconds))
    }
}

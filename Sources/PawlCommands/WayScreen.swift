// SPDX-License-Identifier: Apache-2.0

import Engine

/// Which way of migration fits, as `pawl plan` says it.
struct WayScreen {
    var opinion: WayAdvisor.Opinion
    var play: Play
    var request: RunRequest

    /// What the JSON of a plan has under `advice`.
    struct Record: Encodable {
        var way: String?
        /// Whether the plan's playbook goes that way.
        var isThisWay: Bool?
        var reason: String
        var command: String?
        var remarks: [String]

        private enum CodingKeys: String, CodingKey {
            case way, reason, command, remarks
            case isThisWay = "is_this_way"
        }
    }

    var record: Record {
        switch opinion {
        case .none(let why): return Record(reason: "no way can be advised: \(why)", remarks: [])
        case .advice(let advice):
            return Record(
                way: advice.way.rawValue,
                isThisWay: isThisWay(advice),
                reason: advice.reason,
                command: WayAdvisor.command(advice, for: request),
                remarks: advice.remarks
            )
        }
    }

    var text: String {
        let record = record
        guard case .advice(let advice) = opinion else { return record.reason + "\n" }
        var lines: [String]
        if isThisWay(advice) {
            lines = ["this way (\(advice.way.rawValue)) fits: \(advice.reason)"]
        } else {
            lines = ["another way (\(advice.way.rawValue)) fits better: \(advice.reason)"]
            if let command = record.command { lines.append("  \(command)") }
        }
        return (lines + record.remarks.map { "  \($0)" }).joined(separator: "\n") + "\n"
    }

    private func isThisWay(_ advice: WayAdvice) -> Bool { WayAdvisor.way(of: play) == advice.way }
}

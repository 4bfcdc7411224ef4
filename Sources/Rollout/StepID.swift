// SPDX-License-Identifier: Apache-2.0

/// The name of one step of a plan.
///
/// The same inputs give the same ids, so that a journal can be matched with a plan.
///
/// Its form is `phase.number/host`, as `steps.3/n1`, with `gate.1@n1/*` for a gate after n1 that looks at all hosts.
package struct StepID: Hashable, Sendable, Codable, Comparable, CustomStringConvertible {
    package var text: String

    package init(_ text: String) {
        self.text = text
    }

    package init(from decoder: any Decoder) throws {
        text = try decoder.singleValueContainer().decode(String.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    package static func < (left: StepID, right: StepID) -> Bool { left.text < right.text }
    package var description: String { text }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet

/// What a playbook may write for one action: its word, its parameters, and the documentation of both.
///
/// The actions themselves live in the module `Actions`; they hand their schemas to the playbook reader, so that a
/// playbook is checked whole before anything is contacted, and the reference is generated from the same value.
package struct ActionSchema: Sendable {
    package struct Parameter: Sendable {
        package indirect enum Kind: Sendable {
            case string
            /// An absolute path on the node.
            case path
            case integer(ClosedRange<Int>)
            case boolean
            /// `90s`, `2m`, `1h30m`, or a number of seconds.
            case duration
            case choice([String])
            /// One word that a playbook may repeat and cannot change; `why` is what it says to who tries.
            case fixed(String, why: String)
            case list(Kind)
            /// A mapping with keys of its own.
            case group([Parameter])
        }

        package var name: String
        package var kind: Kind
        /// Required parameters have no default.
        package var isRequired: Bool
        package var defaultValue: Value?
        package var documentation: String

        package init(
            _ name: String,
            _ kind: Kind,
            required: Bool = false,
            default defaultValue: Value? = nil,
            _ documentation: String
        ) {
            self.name = name
            self.kind = kind
            self.isRequired = required
            self.defaultValue = defaultValue
            self.documentation = documentation
        }
    }

    /// The word in the playbook, as `etcd_migrate`.
    package var word: String
    /// One sentence: what it does.
    package var summary: String
    package var parameters: [Parameter]
    /// A parameter that a bare value sets, as in `pause: 10s`.
    package var shorthand: String?
    /// A step of a playbook that uses it, in YAML; a test reads every example.
    package var example: String

    package init(
        word: String,
        summary: String,
        parameters: [Parameter],
        shorthand: String? = nil,
        example: String
    ) {
        self.word = word
        self.summary = summary
        self.parameters = parameters
        self.shorthand = shorthand
        self.example = example
    }
}

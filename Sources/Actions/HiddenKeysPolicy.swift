// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks

/// What a migration does with hidden keys, which `etcdctl migrate` drops; one variable of a playbook says it to all of its
/// steps.
package enum HiddenKeysPolicy: String, Sendable, CaseIterable {
    /// There must be none.
    case refuse
    /// They are dropped; `warn` says so.
    case warn, allow
    /// They are left out, and named at the end.
    case skip
    /// They are written to v3 at the end.
    case copy

    static func parameter(_ documentation: String) -> ActionSchema.Parameter {
        .init("hidden_keys", .choice(allCases.map(\.rawValue)), default: .string("refuse"), documentation)
    }

    init(_ parameters: Parameters) {
        self = parameters.string("hidden_keys").flatMap(HiddenKeysPolicy.init) ?? .refuse
    }
}

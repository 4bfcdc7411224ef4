// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks

/// What a migration does with keys that expire; one variable of a playbook says it to all of its steps.
package enum TTLPolicy: String, Sendable, CaseIterable {
    /// There must be none.
    case refuse
    /// They are migrated, and are permanent; `warn` says so.
    case warn, allow
    /// They are left out, and keys in directories that expire are removed from v3 at the end.
    case skip
    /// They are left out, and written at the end with leases of the time that they have left.
    case lease

    /// Whether `etcdctl migrate` is told `--no-ttl`.
    package var leavesOut: Bool { self == .skip || self == .lease }

    static func parameter(_ documentation: String) -> ActionSchema.Parameter {
        .init("ttl_keys", .choice(allCases.map(\.rawValue)), default: .string("refuse"), documentation)
    }

    init(_ parameters: Parameters) {
        self = parameters.string("ttl_keys").flatMap(TTLPolicy.init) ?? .refuse
    }
}

// SPDX-License-Identifier: Apache-2.0

import Remote

/// What the hosts of a play show of their locks.
package struct LockSurvey: Sendable, Hashable {
    package internal(set) var sights: [String: LockSight] = [:]
    /// Why a host's lock could not be looked at, by host.
    package internal(set) var failures: [String: String] = [:]

    /// Takes what a node answered; `nil` where there was none.
    mutating func note(_ output: String?, from name: String) {
        guard let output else {
            failures[name] = "it could not be asked"
            return
        }
        do throws(LockAnswerError) {
            sights[name] = try LockSight(output: output)
        } catch {
            failures[name] = error.message
        }
    }
}

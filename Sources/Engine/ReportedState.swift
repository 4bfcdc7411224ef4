// SPDX-License-Identifier: Apache-2.0

import Rollout

/// The one word that the halt report has for a member, from how far the run came with it and what it shows now.
enum ReportedState {
    /// Chooses the word.
    ///
    /// - Parameters:
    ///   - progress: how far the run has come with the host.
    ///   - look: what the member shows; `nil` where nobody looked.
    ///   - migrates: whether the play takes members from v2 to v3.
    ///   - rollsBack: whether it takes them back.
    /// - Returns: the word.
    static func word(
        _ progress: HostProgress,
        _ look: ClusterLook?,
        migrates: Bool,
        rollsBack: Bool = false
    ) -> String {
        switch progress {
        case .touched, .restoreFailed:
            // What was begun matters more than whether the node answers, and a member that is down is no danger.
            return look?.isDown == true ? "stopped" : "in doubt"
        case .complete, .restored, .untouched: break
        }
        if look?.isUnreachable == true { return "unreachable" }
        if look?.isDown == true { return "stopped" }
        switch progress {
        case .complete: return migrates ? "migrated" : rollsBack ? "rolled back" : "done"
        case .restored where !migrates: return "restored"
        case .untouched where !migrates: return "unchanged"
        default: break
        }
        // Revision 1 is a v3 store that was never written to.
        switch look?.revision {
        case 1?: return "v2"
        case nil: return "unknown"
        // What was put back from its backup cannot have v3 data.
        default: return progress == .untouched ? "has v3 data" : "in doubt"
        }
    }
}

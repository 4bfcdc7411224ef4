// SPDX-License-Identifier: Apache-2.0

import Fleet

/// What a connection has learnt of becoming other users on its host.
struct BecomeWays {
    /// For whom `sudo` wants a terminal.
    private(set) var onTerminal: Set<String> = []
    /// For whom `sudo` did not ask although there was a password, so that it need not be given the chance.
    private(set) var unasked: Set<String> = []

    /// Notes that the shell of this user began, and whether there was a question.
    mutating func note(_ elevation: Elevation, wasAsked: Bool) {
        if elevation.method == .sudo, elevation.hasPassword, !wasAsked { unasked.insert(elevation.user) }
    }

    /// Whether another way than the refused one is left.
    mutating func learn(from refusal: BecomeRefusal) -> Bool {
        let (elevation, user) = (refusal.elevation, refusal.elevation.user)
        guard elevation.method == .sudo else { return false }
        switch refusal.kind {
        case .terminalNeeded where !elevation.onTerminal: return onTerminal.insert(user).inserted
        case .passwordNeeded where !elevation.hasPassword: return unasked.remove(user) != nil
        default: return false
        }
    }
}

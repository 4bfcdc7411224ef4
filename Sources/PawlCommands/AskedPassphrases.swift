// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import SSH
import Synchronization

/// The passphrases of private keys that are asked for at the terminal: once for each key, whatever many hosts it is for.
///
/// They are asked for before any host is contacted, so that nobody waits for somebody to type.
final class AskedPassphrases: Sendable {
    private let known = Mutex<[String: Secret?]>([:])
    private let isOver = Atomic(false)
    private let ask: @Sendable (String) throws(DiagnosticsError) -> Secret

    /// Asks at the terminal of the process, unless told otherwise.
    init(ask: @escaping @Sendable (String) throws(DiagnosticsError) -> Secret = TerminalQuestion.ask) {
        self.ask = ask
    }

    /// What opens the keys of the host that need it, by their paths; a key that nobody opens is left out.
    func asked(for endpoint: SSHEndpoint) -> [String: Secret] {
        var found: [String: Secret] = [:]
        for path in EncryptedKeys.paths(of: endpoint) {
            found[path] = known.withLock { known in
                if let answer = known[path] { return answer }
                if isOver.load(ordering: .relaxed) { return nil }
                // Without a terminal, or an answer, the key stays closed, and says so when it is needed.
                let answer = try? ask("Enter passphrase for key '\(path)': ")
                known[path] = .some(answer)
                return answer
            }
        }
        return found
    }

    /// Asks nobody from now on: hosts are at work, and a question would hold them up.
    ///
    /// A key that would need it stays closed.
    func end() { isOver.store(true, ordering: .relaxed) }
}

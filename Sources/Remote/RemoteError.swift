// SPDX-License-Identifier: Apache-2.0

/// Why a node could not be asked, or why it is not known what it did.
package struct RemoteError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case unreachable, hostKey, authentication, shell, become, inDoubt, refused, fenced, unrecorded, transfer
        }
        private let kind: Kind

        /// No connection: name unknown, port closed, no answer in time, or the server offers nothing we speak.
        package static let unreachable = Code(kind: .unreachable)
        /// The server's host key is unknown, or is not the one on record.
        package static let hostKey = Code(kind: .hostKey)
        /// No key, agent or password was accepted.
        package static let authentication = Code(kind: .authentication)
        /// Reached and let in, and the server or the login shell runs no commands; the command was not begun.
        package static let shell = Code(kind: .shell)
        /// Another user was not become, by `sudo`, `su` or `doas`; the command was not begun.
        package static let become = Code(kind: .become)
        /// The command may have begun, and nobody saw its end: connection lost, deadline passed, no trailer.
        package static let inDoubt = Code(kind: .inDoubt)
        /// A mutating command in a read-only phase; it was not sent.
        package static let refused = Code(kind: .refused)
        /// The node said that this controller may not change it: the lock is another's.
        ///
        /// The command was not begun.
        package static let fenced = Code(kind: .fenced)
        /// The node could not take down what was about to be done; the command was not begun.
        package static let unrecorded = Code(kind: .unrecorded)
        /// A file arrived with other bytes than it left with.
        package static let transfer = Code(kind: .transfer)

        package var description: String { kind.rawValue }
    }

    package var code: Code
    package var host: String
    /// What happened, in one line.
    package var message: String
    /// What to do now, in one line.
    package var remedy: String?
    /// Words of both that are this host's alone: where it is, its key.
    ///
    /// Left out by ``CommonError`` where several hosts are told of together.
    package var ownWords: [String] = []

    package init(_ code: Code, host: String, _ message: String, remedy: String? = nil) {
        self.code = code
        self.host = host
        self.message = message
        self.remedy = remedy
    }

    /// Whether the command is known not to have run, so that trying again changes nothing twice.
    package var isNotBegun: Bool { code != .inDoubt && code != .transfer }

    package var description: String {
        "\(host): \(message)" + (remedy.map { " (\($0))" } ?? "")
    }
}

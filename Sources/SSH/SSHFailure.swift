// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Why one step of the protocol did not succeed.
///
/// Becomes a `RemoteError` where it is known what that means for a command.
struct SSHFailure: Error, CustomStringConvertible {
    enum Kind: Equatable {
        /// libssh2 said no, with one of its `LIBSSH2_ERROR_` codes.
        case libssh2(Int32)
        /// A system call said no.
        case system(Int32)
        /// The server hung up before it told its version.
        case noVersion
        /// What answers is no SSH server.
        case notSSH
        case deadlinePassed
        /// A shell that the script was kept back for did not begin in this time.
        case notStarted(Duration)
        /// Nothing was heard from the peer although it was asked to answer.
        case silent
        case cancelled
        /// The host's name stands for no address.
        case unknownName
        /// A rule of ours was broken, like the limit on output.
        case local
    }

    var kind: Kind
    var message: String

    var description: String { message }

    static func system(_ call: String, _ code: Int32) -> SSHFailure {
        SSHFailure(kind: .system(code), message: "\(call): \(String(cString: strerror(code)))")
    }
}

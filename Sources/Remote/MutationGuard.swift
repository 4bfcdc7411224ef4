// SPDX-License-Identifier: Apache-2.0

/// Something that must hold on a node, or be on record there, before a mutating command may begin.
///
/// A guard is shell that runs in the same remote command as the effect, so that nothing can come between the two. The
/// lock and the marker of the run are guards.
package protocol MutationGuard: Sendable {
    /// Shell in front of a mutating script, in the same shell as ``epilogue(for:)``.
    ///
    /// It must leave standard input and standard output alone. It refuses with `guard_refuse MESSAGE REMEDY`; then the
    /// script is not begun, and the caller gets a ``RemoteError`` with the code `fenced`, or with `unrecorded` where that
    /// word is the third. Its functions and variables
    /// begin with the guard's name, because the script inherits them.
    func prologue(for command: RemoteCommand) async throws(RemoteError) -> String

    /// Shell right in front of the script, behind the prologues of all guards; it refuses in the same way.
    ///
    /// For what may have become untrue while another guard waited for a disk. A script that waits for one itself runs it,
    /// at the place of its own choice (`guard_again`).
    func lastWord(for command: RemoteCommand) -> String

    /// Shell behind the script, whatever its end; `guard_code` is its exit code.
    func epilogue(for command: RemoteCommand) async -> String

    /// Told when the command was begun behind all guards and its end was seen.
    ///
    /// Where the command was refused, or is in doubt, nothing is told.
    func passed(_ command: RemoteCommand) async
}

extension MutationGuard {
    package func lastWord(for command: RemoteCommand) -> String { "" }

    package func passed(_ command: RemoteCommand) async {}
}

// SPDX-License-Identifier: Apache-2.0

/// One POSIX shell script to be run on a node, with everything that governs it.
///
/// The script is run by `/bin/sh`, whatever the login shell is. Words that come from outside (paths, names,
/// values) are put into it with ``ShellQuoting`` only.
package struct RemoteCommand: Sendable {
    /// What a command may do to the node.
    ///
    /// During `pawl plan` a mutating command is refused by the transport.
    package enum Effect: String, Sendable {
        case readOnly
        case mutating
    }

    /// What is shown for it in messages and with `-v`; holds no secret.
    package var label: String
    package var script: String
    package var standardInput: [UInt8]
    package var effect: Effect
    /// How long the command may take in all, from its start to its trailer.
    package var timeout: Duration
    /// Whether it is to outlive its connection: a long piece of work, run detached on the node as a remote job.
    package var isDetached = false
    /// Whether it brings something of its own to the disk before it begins, and calls `guard_again` behind that, where
    /// there is such a function.
    var asksAgain = false
    /// Whether no other is expected on the node soon, so that nothing is made ready for it.
    package var isLast = false
    /// Gets standard output as it comes in, piece by piece, before the command has ended.
    package var onOutput: (@Sendable (_ piece: [UInt8]) -> Void)?

    package init(
        _ label: String,
        script: String,
        standardInput: [UInt8] = [],
        effect: Effect,
        timeout: Duration = .seconds(30)
    ) {
        self.label = label
        self.script = script
        self.standardInput = standardInput
        self.effect = effect
        self.timeout = timeout
    }
}

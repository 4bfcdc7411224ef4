// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// What the command line says of how hosts are reached: the SSH configuration, and passwords.
struct ConnectionOptions: ParsableArguments {
    @OptionGroup var ssh: SSHConfigOptions
    @OptionGroup var passwords: PasswordOptions

    /// As it would be repeated on a command line, each with a space in front; empty where nothing was given.
    var words: String { ssh.words + passwords.words }
}

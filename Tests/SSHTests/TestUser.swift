// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport

/// A user of this machine for one test, with a password, and rules of `sudo` and `doas`; all of it goes afterwards.
struct TestUser: Sendable {
    /// Nothing that is anywhere by chance, and with what shells, expansions and prompts would make something of.
    static let password = #"pa$$ w'0rd "%s" \n of the test:"#

    let name: String

    private let hasDoas: Bool

    private var sudoers: String { "/etc/sudoers.d/\(name)" }

    /// Makes a user, runs the test's part, and removes the user whatever happened.
    ///
    /// `sudo` are lines of sudoers(5), `doas` of doas.conf(5), both with `USER` for the name.
    static func with(
        shell: String = "/bin/sh",
        home: String = "/",
        sudo: [String] = [],
        doas: [String] = [],
        _ body: (TestUser) async throws -> Void
    ) async throws {
        let user = TestUser(name: DistinctNumber.name("pawl"), hasDoas: !doas.isEmpty)
        // Not in what follows: a user that was there before is not the test's to remove.
        try await SSHServerFixture.sh("useradd -M -d '\(home)' -s '\(shell)' \(user.name)")
        do {
            try await user.give(sudo, doas)
            try await body(user)
        } catch {
            await user.remove()
            throw error
        }
        await user.remove()
    }

    /// Gives the user the password and the rules.
    private func give(_ sudo: [String], _ doas: [String]) async throws {
        let entry = URL(fileURLWithPath: NSTemporaryDirectory()).appending(path: "\(name)-password").path
        try "\(name):\(Self.password)\n".write(toFile: entry, atomically: true, encoding: .utf8)
        try await SSHServerFixture.sh("chpasswd <'\(entry)'; code=$?; rm -f '\(entry)'; exit $code")
        if !sudo.isEmpty {
            // The name of a file with a dot is left out by sudo until it is whole.
            let text = sudo.map { $0.replacing("USER", with: name) + "\n" }.joined()
            try text.write(toFile: sudoers + ".new", atomically: true, encoding: .utf8)
            try await SSHServerFixture.sh("chmod 440 \(sudoers).new && mv \(sudoers).new \(sudoers)")
        }
        if !doas.isEmpty {
            let text = doas.map { $0.replacing("USER", with: name) + " # \(name)\n" }.joined()
            let lines = text.split(separator: "\n").map { "printf '%s\\n' '\($0)'" }.joined(separator: "; ")
            try await SSHServerFixture.sh(Self.changingDoas("{ cat /etc/doas.conf 2>/dev/null; \(lines); }"))
        }
    }

    /// Makes what the commands print the rules of doas, which all users of all tests have in one file.
    ///
    /// One test changes it at a time, and doas sees the old rules or the new ones whole. None are no file.
    private static func changingDoas(_ commands: String) -> String {
        """
        (
            flock 9 && umask 077 || exit
            \(commands) >/etc/doas.conf.new
            if [ -s /etc/doas.conf.new ]; then mv /etc/doas.conf.new /etc/doas.conf
            else rm -f /etc/doas.conf.new /etc/doas.conf; fi
        ) 9>>"${TMPDIR:-/tmp}/pawl-doas.lock"
        """
    }

    /// Ends what runs as the user, too.
    private func remove() async {
        _ = try? await SSHServerFixture.sh(
            """
            rm -f \(sudoers) \(sudoers).new
            \(hasDoas ? Self.changingDoas("grep -v '# \(name)$' /etc/doas.conf") : "")
            for entry in /proc/[0-9]*; do
                [ "$(stat -c %U "$entry" 2>/dev/null)" != \(name) ] || kill -9 "${entry#/proc/}" 2>/dev/null
            done
            userdel \(name) 2>/dev/null; :
            """
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Remote

/// Why `sudo`, `su` or `doas` gave no shell: what it said, sorted by what is to be done about it.
struct BecomeRefusal {
    enum Kind: Equatable {
        /// It asks for a password, and nobody gave one.
        case passwordNeeded
        /// It did not take the password.
        case passwordWrong
        /// It wants an answer that is no password.
        case otherQuestion(String)
        /// It runs on a terminal only (sudoers(5), `requiretty`).
        case terminalNeeded
        /// script(1), which makes that terminal, is not on the node.
        case noScript
        /// It is not on the node.
        case notInstalled
        /// There is no such user.
        case noUser
        /// No rule lets the login user become the other.
        case noRule
        /// It did not come to its end in time.
        case silent(Duration)
        case other
    }

    var kind: Kind
    var elevation: Elevation
    /// Its own words.
    var said: String
    /// Whose password it asked for, where it told.
    private var asked: String?

    /// Sorts what was said by programs that speak English (`LC_ALL=C`).
    init(_ elevation: Elevation, said: String, exitCode: Int, _ dialogue: BecomeDialogue) {
        self.elevation = elevation
        asked = dialogue.asked
        let words = elevation.hasPassword && dialogue.questions > 0 ? Self.leavingOut(Self.lacking, of: said) : said
        self.said = words.isEmpty ? "exit code \(exitCode)" : words
        func holds(_ words: String...) -> Bool { words.contains { said.contains($0) } }
        if holds("must have a tty", "must be run from a terminal") {
            kind = .terminalNeeded
        } else if holds("script: not found", "script: command not found", "script: inaccessible") {
            kind = .noScript
        } else if holds("\(elevation.program): not found", "\(elevation.program): command not found") {
            kind = .notInstalled
        } else if holds("a password is required", "Authentication required", "terminal is required") {
            kind = .passwordNeeded
        } else if dialogue.questions > 0, !elevation.hasPassword {
            kind = .passwordNeeded
        } else if holds("nknown user", "does not exist", "no passwd entry") {
            kind = .noUser
        } else if holds(
            "not in the sudoers",
            "is not allowed to",
            "may not run",
            "peration not permitted",
            "ot enabled"
        ) {
            kind = .noRule
        } else if dialogue.questions > 1
            || holds("incorrect password", "uthentication failure", "uthentication failed", "Permission denied")
        {
            kind = dialogue.questions > 0 ? .passwordWrong : .noRule
        } else {
            kind = .other
        }
    }

    /// A program that did not come to its end.
    init(_ elevation: Elevation, said: String, after time: Duration, _ dialogue: BecomeDialogue) {
        self.elevation = elevation
        self.said = said
        asked = dialogue.asked
        kind = dialogue.oddQuestion.map { .otherQuestion($0) } ?? .silent(time)
    }

    /// What sudo says when it asks again and hears the end of the input, as if there had been no password at all.
    private static let lacking = "no password was provided"

    private static func leavingOut(_ words: String, of said: String) -> String {
        said.components(separatedBy: " / ").filter { !$0.hasSuffix(words) }.joined(separator: " / ")
    }

    /// What is wrong, in one line, without the name of the command.
    func summary(login: String) -> String {
        let (program, user) = (elevation.program, elevation.user)
        let way = "\(program) to \(user)"
        return switch kind {
        case .passwordNeeded: "\(way) asks for \(whose(login)), and none is given: \(said)"
        case .passwordWrong: "\(way) did not take \(whose(login)): \(said)"
        case .otherQuestion(let question): "\(way) asks `\(question)`, which nobody can answer"
        case .terminalNeeded: "\(way) was refused, because it wants a terminal: \(said)"
        case .noScript: "\(way) needs a terminal, and the node has no script(1) to make one: \(said)"
        case .notInstalled: "\(program) is not installed on the node: \(said)"
        case .noUser: "\(way) was refused, because there is no such user: \(said)"
        case .silent(let time):
            "\(way) did not begin a shell within \(time.inWords)" + (said.isEmpty ? " and said nothing" : ": \(said)")
        case .noRule, .other: "\(way) was refused: \(said)"
        }
    }

    /// What to do, in one line.
    func remedy(login: String) -> String {
        let advice =
            switch kind {
            case .passwordNeeded:
                "give \(whose(login)) with -K, --become-password-file or ansible_become_password"
                    + (elevation.method == .sudo ? " (\(others)), or a rule without one (\(rule(login)))" : "")
            case .passwordWrong:
                "give \(whose(login)) with -K, --become-password-file or ansible_become_password; it was tried once, "
                    + "so that the account is not locked" + (isOthers(login) ? "; \(others)" : "")
            case .otherQuestion, .silent:
                "log in by hand and see what it asks; a rule without a question lets pawl in (\(rule(login)))"
            case .terminalNeeded: "use ansible_become_method: sudo, which is given one, or take that demand back"
            case .noScript:
                "install it (Debian: bsdutils, Red Hat: util-linux-script)"
                    + (elevation.method == .doas ? ", or permit \(login) with nopass" : ", or take requiretty out")
            case .notInstalled: "install it, or say another ansible_become_method (sudo, su, doas)"
            case .noUser: "check ansible_become_user and the node's users"
            case .noRule, .other:
                "give \(login) a rule on the node (\(rule(login))), or turn ansible_become off in the inventory"
            }
        return "nothing was begun; \(advice)"
    }

    private func whose(_ login: String) -> String {
        "the password of \(asked ?? (elevation.method == .su ? elevation.user : login))"
    }

    /// Whether sudo asks for a password that is not the login user's, or may have done so without a word of it.
    private func isOthers(_ login: String) -> Bool { elevation.method == .sudo && asked != login }

    private var others: String { "targetpw, rootpw or runaspw in its sudoers asks for the other user's or root's" }

    private func rule(_ login: String) -> String {
        switch elevation.method {
        case .sudo: "`\(login) ALL=(\(elevation.user)) NOPASSWD: ALL` by visudo"
        case .doas: "`permit nopass \(login) as \(elevation.user)` in /etc/doas.conf"
        case .su: "pam_wheel(8) may say who may use su"
        }
    }
}

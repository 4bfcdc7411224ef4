// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import SSH

/// What is advised to whom is not let in.
@Suite("What helps to get in") struct LoginTriesTests {
    private func login(_ user: String = "me") -> LoginTries.Login {
        LoginTries.Login(user: user, address: "n1.lab", recordName: "[n1.lab]:2222", recordFile: "/tmp/known hosts")
    }

    private func remedy(_ cures: [LoginTries.Cure?], _ user: String = "me") -> String {
        var tries = LoginTries()
        for cure in cures { tries.note("word", cure) }
        return tries.remedy(login(user))
    }

    @Test(arguments: [
        (LoginTries.Cure.record, "ssh-keygen -R '[n1.lab]:2222' -f '/tmp/known hosts'"),
        (.cipher(file: "key"), "ssh-keygen -p -Z aes256-ctr -f key"), (.file("key"), "make key a private key"),
        (.passphrase, "right passphrase"), (.keyType, "ecdsa"), (.passwordChange, "ssh me@n1.lab"),
        (.question, "AuthenticationMethods"), (.admission, "authorized_keys"),
    ])
    func `each trouble has its own remedy`(_ cure: LoginTries.Cure, _ words: String) {
        let remedy = remedy([nil, cure, nil])
        #expect(remedy.contains(words), "\(remedy)")
        #expect(remedy.contains("authorized_keys") == (cure == .admission), "\(remedy)")
    }

    @Test func `where the server knows no key either, that is said behind what is surer`() {
        let remedy = remedy([.admission, .passphrase, .admission, .passphrase])
        #expect(remedy.hasPrefix("give the right passphrase"))
        #expect(remedy.components(separatedBy: "authorized_keys").count == 2)
        #expect(remedy.components(separatedBy: "right passphrase").count == 2)
        #expect(self.remedy([nil]).contains("authorized_keys"))
    }

    @Test func `root is told that the server may keep root out`() {
        #expect(remedy([.admission], "root").contains("PermitRootLogin"))
        #expect(!remedy([.admission]).contains("PermitRootLogin"))
    }

    @Test func `a change of the password is told from another question`() {
        #expect(PasswordQuestion.isForChange("Current password: "))
        #expect(PasswordQuestion.isForChange("(me@n1) New password:"))
        #expect(PasswordQuestion.isForChange("It has expired.\nChanging password for me.\nCurrent password:"))
        #expect(!PasswordQuestion.isForChange("Password: "))
        #expect(!PasswordQuestion.isForChange("Verification code: "))
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import SSH
import Synchronization
import Testing

@testable import PawlCommands

@Suite struct AskedPassphrasesTests {
    @Test func `a key's passphrase is asked for once, for whatever many hosts, and others' never`() throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "pawl-keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        func key(_ name: String, _ passphrase: String) throws -> String {
            let path = folder.appending(path: name).path
            let words = ["-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", path]
            try Process.run(URL(fileURLWithPath: "/usr/bin/ssh-keygen"), arguments: words).waitUntilExit()
            return path
        }
        let (locked, other, open) = (try key("a", "secret"), try key("b", "secret"), try key("c", ""))
        let questions = Mutex<[String]>([])
        let asked = AskedPassphrases { (question: String) throws(DiagnosticsError) -> Secret in
            questions.withLock { $0.append(question) }
            guard question.contains(locked) else { throw DiagnosticsError([Diagnostic(at: nil, "no answer")]) }
            return Secret("secret")
        }
        func endpoint(_ name: String, _ keys: [String]) -> SSHEndpoint {
            SSHEndpoint(name: name, address: name, user: "u", privateKeyFiles: keys, useAgent: false)
        }
        for name in ["n1", "n2"] {
            let found = asked.asked(for: endpoint(name, [open, locked, other]))
            #expect(found.mapValues { $0.reveal() } == [locked: "secret"])
        }
        #expect(asked.asked(for: endpoint("n3", [open])).isEmpty)
        let expected = [locked, other].map { "Enter passphrase for key '\($0)': " }
        #expect(questions.withLock { $0 } == expected)
    }
}

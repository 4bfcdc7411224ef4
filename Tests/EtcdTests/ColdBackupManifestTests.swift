// SPDX-License-Identifier: Apache-2.0

import Etcd
import Testing

struct ColdBackupManifestTests {
    private static let hash = String(repeating: "a", count: 64)

    @Test func `a manifest is read with paths that hold spaces`() throws {
        let text =
            "pawl-manifest 1\nd - - 700 102 105 - var/lib/my etcd\nf \(Self.hash) 20480 600 102 105 17.25 var/lib/my etcd/db\n"
        let entries = try ColdBackupManifest(parsing: text).entries
        #expect(entries.map(\.path) == ["var/lib/my etcd", "var/lib/my etcd/db"])
        #expect(entries[1].size == 20480 && entries[1].sha256 == Self.hash && entries[1].modified == "17.25")
        #expect(entries[0].kind == .directory && entries[0].uid == 102 && entries[0].gid == 105)
    }

    @Test(arguments: [
        "", "pawl-manifest 1", "pawl-manifest 2\n", "pawl-manifest 1\nx - - 700 0 0 - a\n",
        "pawl-manifest 1\nd - - 700\n",
        "pawl-manifest 1\nf - 3 600 0 0 1 a\n",
        "pawl-manifest 1\nd \(String(repeating: "a", count: 64)) - 700 0 0 - a\n",
        "pawl-manifest 1\nd - - 700 0 0 - a\nd - - 700 0 0 - cut off",
    ])
    func `what is not a whole manifest is refused`(_ text: String) {
        #expect(throws: ColdBackupManifest.ParseError.self) { try ColdBackupManifest(parsing: text) }
    }

    @Test func `a description of another format is not understood`() {
        let text =
            #"{"format":1,"run":"r","host":"h","sources":["/s"],"created":"2026-11-21T03:28:10Z","bytes":1,"files":1,"manifestSHA256":"x","keep":true}"#
        #expect(ColdBackup.description(parsing: text)?.host == "h")
        #expect(ColdBackup.description(parsing: text.replacing(#""format":1"#, with: #""format":2"#)) == nil)
    }

    @Test func `names of hosts and runs cannot leave the backup directory`() {
        #expect(ColdBackup.directoryName(host: "../n1 ü", run: "a/b") == ".._n1__-a_b")
    }
}

// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation
import Remote
import TestSupport
import Testing

/// What every script on a node begins with.
@Suite struct NodeReportTests {
    @Test func `a script that nobody listens to any more puts its files away`() async throws {
        // `head` goes after one line, as a connection does; the rest of the script has nobody to tell.
        let script = """
            ( \(NodeReport.prelude)
            work=$(mktemp -d) || fail "no temporary directory"
            trap 'rm -rf -- "$work"' EXIT
            say work "$work"
            while :; do say still here; done
            ) 2>/dev/null | head -n 1
            """
        let command = RemoteCommand("listen for one line", script: script, effect: .mutating, timeout: .seconds(20))
        let report = NodeReport(try await LocalHost().run(command))
        let work = try #require(report["work"])
        #expect(!FileManager.default.fileExists(atPath: work))
    }

    @Test(arguments: [
        ("progress=the db has 3 MiB", "the db has 3 MiB"), ("progress=a=b", "a=b"), ("progress=", ""),
        ("last=finished transforming keys", nil), ("transformer_input=7", nil), ("after={\"revision\":9}", nil),
        ("=odd", "=odd"), ("sed: a=b: no such file", "sed: a=b: no such file"), ("Round=1", "Round=1"),
        ("words", "words"),
    ])
    func `of what a script at work prints, pairs are not shown`(_ line: String, words: String?) {
        #expect(NodeReport.news(in: line) == words)
    }
}

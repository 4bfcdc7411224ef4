// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Etcd

/// A rehearsal's cut of a copy, with WALs that a real etcd wrote.
@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd and etcdctl 3.4 on this machine"), .serialized)
struct RehearsalCutTests {
    /// Cuts a copy of the member's data behind each of its snapshots, and migrates it.
    ///
    /// Prints `INDEX CUT WHETHER-THE-SNAPSHOT-IS-LEFT EXIT-CODE WORDS` for each.
    private func cuts(_ member: LiveMember) async throws -> [[Substring]] {
        let script = """
            \(RehearsalCut.shellFunctions)
            for snapshot in \(member.data)/member/snap/*.snap; do
              name=${snapshot##*-}; INDEX=$((0x${name%.snap}))
              copy=\(member.root)/cut-$INDEX
              cp -a -- \(member.data) "$copy"
              cut_copy "$copy/member"
              if [ -e "$copy/member/snap/${snapshot##*/}" ]; then left=yes; else left=no; fi
              ETCDCTL_API=3 etcdctl migrate --data-dir "$copy" >"$copy/said" 2>&1 </dev/null; code=$?
              echo "$INDEX $cut $left $code $(tail -n 1 "$copy/said")"
            done
            """
        return try await member.text(script).split(separator: "\n").map {
            $0.split(separator: " ", maxSplits: 4, omittingEmptySubsequences: false)
        }
    }

    @Test func `a snapshot whose record is behind the cut is dropped, and etcdctl migrates what is left`() async throws
    {
        try await LiveMember.with { member in
            // Snapshots come so fast that entries are written between each and its record.
            try await member.sh("echo --snapshot-count 20 >\(member.root)/args")
            try await member.control("start")
            try await member.sh(
                "seq 400 | xargs -n 50 -P 8 sh -c 'for k; do printf \"next\\nurl = %s\\n\" "
                    + "\"\(member.url)/v2/keys/k$k\"; printf \"request = PUT\\ndata = value=v\\nsilent\\noutput = /dev/null\\n\"; "
                    + "done | sed 1d | curl -K -' sh"
            )
            try await member.control("stop")
            let cuts = try await cuts(member)
            try #require(!cuts.isEmpty)
            for cut in cuts { #expect(cut[3] == "0", "\(cut)") }
            // Otherwise nothing was shown.
            #expect(cuts.contains { $0[1] == "yes" && $0[2] == "no" }, "\(cuts)")
        }
    }
}

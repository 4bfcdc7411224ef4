// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd and etcdctl 3.4 on this machine"), .serialized)
struct EtcdPrepareTests {
    private let step = "prepare.1/n1"

    private func prepare(_ member: LiveMember) throws -> EtcdPrepare {
        try EtcdPrepare(Parameters(["data_dir": .string(member.data)]))
    }

    private func leftovers(_ member: LiveMember) async throws -> String {
        try await member.text("ls -d \(member.root)/.pawl-* 2>/dev/null")
    }

    /// Stops the member, backs it up and migrates it: the evidence of the last step.
    private func roll(_ member: LiveMember) async throws -> Evidence {
        _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
        _ = try await member.backup().perform(member.context("steps.2/n1"))
        return try await member.migrate().perform(member.context("steps.3/n1"))
    }

    @Test func `a copy is migrated while the member serves, and is only renamed when it is stopped`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(300)
            let made = try await prepare(member).perform(member.context(step))
            #expect(made.values["keys"] == "300")
            #expect(try await member.v3Keys() == 0, "the member itself was not touched")
            guard case .done = try await prepare(member).observe(member.context(step)) else {
                Issue.record("a prepared copy is not found")
                return
            }
            let swapped = try await roll(member)
            #expect(swapped.values["prepared"] == "true")
            #expect(swapped.values["revision"] == (await member.ledger.fact("baseline_max_index")))
            #expect(try await leftovers(member) == "")
            guard case .done = try await member.migrate().observe(member.context("steps.3/n1")) else {
                Issue.record("a swapped db is not seen as migrated")
                return
            }
            _ = try await member.service("started").perform(member.context("steps.4/n1"))
            #expect(try await member.v3Keys() == 300)
            #expect(try await member.v2Value("utf8/%C3%BC%E2%82%AC") == "grün €")
        }
    }

    @Test func `where v2 holds no keys, the member keeps its own db`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            await member.ledger.record("baseline_keys", "0")
            await member.ledger.record("baseline_max_index", "0")
            let made = try await prepare(member).perform(member.context(step))
            #expect(made.values["unfit"] == "v2 holds no keys")
            #expect(try await leftovers(member) == "")
            guard case .done = try await prepare(member).observe(member.context(step)) else {
                Issue.record("it is prepared again and again")
                return
            }
            let evidence = try await roll(member)
            #expect(evidence.values["keys"] == "0" && evidence.values["prepared"] != "true", "\(evidence)")
            _ = try await member.service("started").perform(member.context("steps.4/n1"))
            #expect(try await member.v3Keys() == 0)
        }
    }

    /// Copies the first time as it would have come out in the midst of etcd's writing of a snapshot: first the file is
    /// there in part, then whole, but without its record in the WAL.
    private static func copyTooEarly(_ member: LiveMember, _ what: String) -> String {
        let early =
            what == "a snapshot without its record"
            ? "cp() { /bin/cp -a -t \"$to\" -- \(member.root)/early/*.wal; }; files=.wal"
            : "cp() { /bin/cp \"$@\" && truncate -s 200 -- \"$to\"/*.snap; }; files=.snap"
        return """
            #!/bin/sh
            case "$*" in *"-t "*) ;; *) exec /bin/cp "$@" ;; esac
            to=${*#*-t }; to=${to%% -- *}
            \(early)
            case "$*" in *"$files"*) if mkdir \(member.root)/once 2>/dev/null; then cp "$@"; exit; fi ;; esac
            exec /bin/cp "$@"
            """
    }

    @Test(arguments: ["a snapshot without its record", "a part of a snapshot"])
    func `a copy that is taken while etcd writes a snapshot is taken anew`(_ what: String) async throws {
        try await LiveMember.with { member in
            try await member.sh("echo --snapshot-count=60 >\(member.root)/args")
            try await member.control("start")
            try await member.fill(40)
            try await member.sh("cp -a \(member.data)/member/wal \(member.root)/early")
            #expect(try await member.sh("ls \(member.data)/member/snap/*.snap").exitCode != 0)
            try await member.fill(120)
            try await member.sh("until ls \(member.data)/member/snap/*.snap >/dev/null 2>&1; do sleep 0.05; done")
            try await member.sh(
                "mkdir \(member.root)/bin; cat >\(member.root)/bin/cp; chmod 755 \(member.root)/bin/cp",
                input: Self.copyTooEarly(member, what)
            )
            var racing = member
            racing.host = LocalHost(name: "n1", prelude: "PATH=\(member.root)/bin:$PATH\n")
            let made = try await prepare(member).perform(racing.context(step))
            #expect(try await member.sh("test -d \(member.root)/once").exitCode == 0)
            #expect(made.values["keys"] == "120", "\(made)")
        }
    }

    @Test func `what etcd logs after the copy is not lost`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(50)
            _ = try await prepare(member).perform(member.context(step))
            // Below a hidden directory, which no fingerprint and no migration sees.
            try await member.sh("curl -sf -XPUT -d value=late \(member.url)/v2/keys/_hidden/late")
            #expect(try await roll(member).values["prepared"] == "true")
            _ = try await member.service("started").perform(member.context("steps.4/n1"))
            #expect(try await member.v2Value("_hidden/late") == "late")
            #expect(try await member.v3Keys() == 50)
            try await member.sh("ETCDCTL_API=3 etcdctl --endpoints \(member.url) put after ward")
            #expect(try await member.v3Keys() == 51)
        }
    }

    @Test(arguments: ["a v3 write since", "another file", "no file"])
    func `a copy that does not fit any more is not used`(_ why: String) async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(50)
            _ = try await prepare(member).perform(member.context(step))
            switch why {
            case "a v3 write since":
                try await member.sh("ETCDCTL_API=3 etcdctl --endpoints \(member.url) put stray write")
                // In place the write stays, and the gate finds it.
                let evidence = try await roll(member)
                #expect(evidence.values["prepared"] == "false")
                #expect(evidence.summary.contains("at revision 2, and was at 0"))
                return
            case "another file":
                try await member.sh(
                    "cp -p \(member.root)/.pawl-*/db \(member.root)/x && mv \(member.root)/x $(ls -d \(member.root)/.pawl-*)/db"
                )
            default: try await member.sh("rm -rf \(member.root)/.pawl-*")
            }
            guard case .notBegun = try await prepare(member).observe(member.context(step)) else {
                Issue.record("a copy that is not what was prepared is found sound")
                return
            }
            let evidence = try await roll(member)
            #expect(evidence.values["prepared"] == "false")
            #expect(evidence.summary.contains("is not what was prepared"))
            #expect(evidence.values["keys"] == "50")
            #expect(try await leftovers(member) == "")
        }
    }

    @Test func `a copy that lacks a key is refused and removed, and so is one of a member that is stopped`()
        async throws
    {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(50)
            await member.ledger.record("baseline_keys", "51")
            let short = try await failure { try await prepare(member).perform(member.context(step)) }
            #expect(short.message.contains("51 are expected"))
            await member.ledger.record("baseline_keys", "50")
            _ = try await prepare(member).perform(member.context(step))
            let removed = try await prepare(member).undo(member.context(step))
            #expect(removed.summary.contains("is removed"))
            #expect(try await leftovers(member) == "")
            try await member.control("stop")
            let stopped = try await failure { try await prepare(member).perform(member.context(step)) }
            #expect(stopped.message.contains("etcd does not run"))
        }
    }

    @Test func `a swap that is undone brings the db of the backup back`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(50)
            _ = try await prepare(member).perform(member.context(step))
            #expect(try await roll(member).values["prepared"] == "true")
            _ = try await member.migrate().undo(member.context("steps.3/n1"))
            _ = try await member.service("started").perform(member.context("steps.4/n1"))
            #expect(try await member.v3Keys() == 0)
        }
    }
}

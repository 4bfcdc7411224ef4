// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Playbooks
import Remote
import TestSupport
import Testing

/// Migrations through a transformer, on a real etcd with a real etcdctl.
@Suite(.enabled(if: LiveMember.hasEtcd, "needs etcd and etcdctl 3.4 on this machine"), .serialized)
struct TransformerTests {
    private func write(_ script: String, _ member: LiveMember, mode: String = "755") async throws -> String {
        let path = "\(member.root)/transformer"
        try await member.sh("cat >\(path) && chmod \(mode) \(path)", input: script)
        return path
    }

    private func migrate(_ member: LiveMember, _ transformer: String) throws -> EtcdMigrate {
        try EtcdMigrate(Parameters(["data_dir": .string(member.data), "transformer": .string(transformer)]))
    }

    @Test func `etcdctl by itself loses keys of a transformer that ends quickly, and the wrapper keeps them all`()
        async throws
    {
        try await LiveMember.with { member in
            try await member.prepare(keys: 1500)
            let program = try await write(TransformerPrograms.capitals, member)
            let lossy = try await member.text(
                """
                for n in $(seq 40); do
                  rm -rf \(member.root)/copy; cp -a \(member.data) \(member.root)/copy; rm -f \(member.root)/copy/member/snap/db
                  ETCDCTL_API=3 etcdctl migrate --data-dir \(member.root)/copy --transformer \(program) >/dev/null 2>&1 || continue
                  keys=$(ETCDCTL_API=3 etcdctl snapshot status \(member.root)/copy/member/snap/db -w json | jq .totalKey)
                  if [ "$keys" -lt 1501 ]; then echo "$keys"; exit; fi
                done
                """
            )
            #expect(lossy != "", "40 times all keys came through; the wrapper may not be needed any more")
            for attempt in 1...5 {
                let evidence = try await migrate(member, program).perform(
                    member.context("steps.3/n1", attempt: attempt)
                )
                #expect(evidence.values["keys"] == "1500")
                guard case .done = try await migrate(member, program).observe(member.context("steps.3/n1")) else {
                    Issue.record("a transformed db is not seen as migrated")
                    return
                }
                if attempt < 5 { _ = try await migrate(member, program).undo(member.context("steps.3/n1")) }
            }
            _ = try await member.service("started").perform(member.context("steps.4/n1"))
            #expect(try await member.v3Keys() == 1500)
            let value = try await member.text(
                "ETCDCTL_API=3 etcdctl --endpoints \(member.url) get /k/7 --print-value-only"
            )
            #expect(value == "VALUE 7")
        }
    }

    @Test func `a copy is prepared through the same transformer, or is not used`() async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(200)
            let program = try await write(TransformerPrograms.capitals, member)
            let prepare = try EtcdPrepare(
                Parameters(["data_dir": .string(member.data), "transformer": .string(program)])
            )
            #expect(try await prepare.perform(member.context("prepare.1/n1")).values["keys"] == "200")
            guard case .done = try await prepare.observe(member.context("prepare.1/n1")) else {
                Issue.record("a prepared copy is not found")
                return
            }
            _ = try await member.service("stopped").perform(member.context("steps.1/n1"))
            _ = try await member.backup().perform(member.context("steps.2/n1"))
            let plain = try await member.migrate().perform(member.context("steps.3/n1"))
            #expect(plain.values["prepared"] == "false", "made with a transformer, wanted without")
            _ = try await member.migrate().undo(member.context("steps.3/n1"))
            let swapped = try await migrate(member, program).perform(member.context("steps.3/n1", attempt: 2))
            #expect(swapped.values["prepared"] == "true")
            #expect(try await member.text("ls -d \(member.root)/.pawl-* 2>/dev/null") == "")
            guard case .done = try await migrate(member, program).observe(member.context("steps.3/n1")) else {
                Issue.record("a swapped db is not seen as migrated")
                return
            }
        }
    }

    @Test(arguments: [
        (
            "ends badly", TransformerPrograms.failing,
            "it ended with exit code 3: no such thing"
        ),
        (
            "gives garbage", TransformerPrograms.garbage,
            "no sequence of lengths and records"
        ),
        ("does not read", "#!/bin/sh\nexit 0", "must read all of its input"),
        (
            "gives two keys one revision", TransformerPrograms.changing("$modified = 5 if $modified == 6;"),
            "replace each other"
        ),
    ])
    func `a transformer that goes wrong fails the step with its reason, and can be undone`(
        _ name: String,
        script: String,
        message: String
    ) async throws {
        try await LiveMember.with { member in
            try await member.prepare(keys: 300)
            let original = try await member.sum(member.database)
            let program = try await write(script, member)
            let error = try await failure {
                try await migrate(member, program).perform(member.context("steps.3/n1"))
            }
            #expect(error.message.contains(message), "\(error)")
            _ = try await migrate(member, program).undo(member.context("steps.3/n1"))
            #expect(try await member.sum(member.database) == original)
        }
    }

    @Test(arguments: ["missing", "not executable"])
    func `a transformer that cannot be run is refused before anything is changed`(_ why: String) async throws {
        try await LiveMember.with { member in
            try await member.control("start")
            try await member.fill(20)
            let program = try await write("#!/bin/sh", member, mode: "644")
            if why == "missing" { try await member.sh("rm \(program)") }
            let prepare = try EtcdPrepare(
                Parameters(["data_dir": .string(member.data), "transformer": .string(program)])
            )
            let error = try await failure { try await prepare.perform(member.context("prepare.1/n1")) }
            #expect(error.message.contains(why == "missing" ? "is not on this node" : "cannot be run by"), "\(error)")
            #expect(try await member.text("ls -d \(member.root)/.pawl-* 2>/dev/null") == "")
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Reports
import Rollout
import Testing

struct PlainViewTests {
    private func text(_ events: [RunEvent], zone: TimeZone = .utc) async -> String {
        let output = Output()
        let view = PlainView(timeZone: zone, sink: output.sink)
        for event in events { await view.receive(event) }
        return output.text
    }

    @Test func `a run that does all its work`() async {
        #expect(
            await text(Sequences.success) == """
                03:12:01 run 20261121-031201-a3f9 started: Migrate etcd, inventory inventories/prod.yaml, 4 steps, \
                hosts n1, node-22
                03:12:01 == preflight
                03:12:01 n1       Ready for the migration: started
                03:12:01 n1           asking 3 members
                03:12:02 n1       Ready for the migration: done (0.9s): 3.4.23, 10000 keys, no TTL
                03:12:02 == steps on n1
                03:12:02 n1       quorum: 3 of 3 healthy, 2 remain, 2 needed
                03:12:02 n1       Stop etcd: started
                03:12:03 n1       Stop etcd: already done (1.1s): inactive, no process
                03:13:01 all      Members agree: started (attempt 2)
                03:13:02 all      Members agree: done (1.5s): hashkv equal
                    n1 1dc1f2c4
                    node-22 1dc1f2c4
                03:13:03 run 20261121-031201-a3f9 finished

                DONE Migrate etcd in 1m 02s

                  host      keys  revision  hash      out of service  backup
                  n1       10000     10003  1dc1f2c4            1.2s  /var/backups/etcd/n1-20261121
                  node-22  10000     10003  1dc1f2c4            1.0s  -

                  no member was out of service for longer than 1.2s (n1)

                  proven
                    - hashkv 1dc1f2c4 is equal on 2 members at revision 10003
                    - v2 and v3 agree on 10000 keys

                """
        )
    }

    @Test func `a run that halts after a restore`() async {
        #expect(
            await text(Sequences.halted) == """
                03:12:01 run 20261121-031201-a3f9 started: Migrate etcd, inventory inventories/prod.yaml, 4 steps, \
                hosts n1, node-22
                03:12:02 n1       Migrate: started
                03:13:05 n1       Migrate: in doubt (1m 03s): etcdctl migrate exited 1
                    waiting for etcd to close and release its lock
                    what to do: the backup is put back
                03:13:05 n1       Migrate: taking it back
                03:13:07 n1       Migrate: taken back (1.9s): db restored, sha256 equal
                03:13:07 all      warning: the freeze is lifted
                03:13:08 run 20261121-031201-a3f9 halted

                HALTED at n1, Migrate
                  why:        etcdctl migrate exited 1
                              waiting for etcd to close and release its lock
                  what to do: stop the process that holds /var/lib/etcd

                  host     state  detail
                  n1       v2     restored from /var/backups/etcd/n1-20261121, serving
                  node-22  v2     not touched

                  next
                    pawl resume 20261121-031201-a3f9
                        goes on at Migrate on n1
                    pawl status 20261121-031201-a3f9
                        shows this again

                  exit code 3

                """
        )
    }

    @Test func `a run that preflight refuses`() async {
        #expect(
            await text(Sequences.refused) == """
                03:12:01 run 20261121-031201-a3f9 started: Migrate etcd, inventory inventories/prod.yaml, 4 steps, \
                hosts n1, node-22
                03:12:01 n1       Ready for the migration: started
                03:12:02 n1       Ready for the migration: failed (0.8s): 2 keys have a TTL: /a, /b
                03:12:02 run 20261121-031201-a3f9 refused

                REFUSED at n1
                  why:        2 keys have a TTL: /a, /b

                  exit code 4

                """
        )
    }

    @Test func `a resumed run`() async {
        #expect(
            await text(Sequences.resumed) == """
                03:12:01 run 20261121-031201-a3f9 resumed: Migrate etcd, inventory inventories/prod.yaml, 4 steps, \
                3 of them done before, hosts n1, node-22
                03:12:02 all      Members agree: started
                03:12:03 all      Members agree: done (1.0s): hashkv equal
                03:12:04 run 20261121-031201-a3f9 finished

                DONE Migrate etcd in 1h 02m 03s

                """
        )
    }

    @Test func `no control character of a node or a file comes through`() async {
        let text = await text(Sequences.hostileRun)
        let controls = text.unicodeScalars.filter { scalar in
            guard scalar != "\n" else { return false }
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: return true
            default: return false
            }
        }
        #expect(controls.isEmpty)
        #expect(text.contains(#"a\e[2Jb\rc\0d\u{202E}e\u{9B}f\u{7F}g h\u{2028}i"#))
        // A line break in a text never makes a line that looks like one of pawl's own.
        #expect(!text.contains("\nj"))
    }

    @Test func `times are those of the time zone`() async throws {
        let zone = try #require(TimeZone(secondsFromGMT: -5 * 3600 - 1800))
        let notice = Sequences.event(0, .notice(Notice(.info, "x")))
        #expect(await text([notice], zone: zone) == "21:42:01 all  x\n")
    }
}

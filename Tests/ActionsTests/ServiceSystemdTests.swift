// SPDX-License-Identifier: Apache-2.0

import Actions
import Remote
import TestSupport
import Testing

/// The systemd form, in a booted node.
@Suite(.enabled(if: BootedNode.obstacle == nil, BootedNode.obstacle ?? ""), .serialized)
struct ServiceSystemdTests {
    @Test func `a unit is stopped, held down against others, and started as it was`() async throws {
        try await BootedNode.with { node in
            for unit in ["local", "vendor"] {
                try await node.text("systemctl start \(unit)")
                let files = try await node.text(
                    "find /run/systemd /etc/systemd -name '*pawl*'; systemctl is-enabled \(unit)"
                )
                let stop = try node.service(unit, "stopped")
                guard case .notBegun = try await stop.observe(node.context()) else {
                    Issue.record("\(unit): a running unit is not seen as such")
                    return
                }
                let evidence = try await stop.perform(node.context())
                #expect(evidence.values["clean"] == "yes", "\(evidence)")
                #expect(
                    try await node.text("systemctl start \(unit) >/dev/null 2>&1; systemctl is-active \(unit)")
                        == "inactive"
                )
                #expect(
                    try await node.text("systemctl restart \(unit) >/dev/null 2>&1; systemctl is-active \(unit)")
                        == "inactive"
                )
                guard case .done = try await stop.observe(node.context()) else {
                    Issue.record("\(unit): a stop of this run is not seen as done")
                    return
                }
                _ = try await stop.perform(node.context())
                let start = try node.service(unit, "started")
                guard case .notBegun = try await start.observe(node.context()) else {
                    Issue.record("\(unit): a held unit is taken for started")
                    return
                }
                _ = try await start.perform(node.context())
                #expect(try await node.text("systemctl is-active \(unit)") == "active")
                #expect(
                    try await node.text("find /run/systemd /etc/systemd -name '*pawl*'; systemctl is-enabled \(unit)")
                        == files
                )
                while try await node.text("systemctl show -p NeedDaemonReload \(unit)") != "NeedDaemonReload=no" {}
                _ = try await stop.perform(node.context())
                _ = try await stop.undo(node.context())
                #expect(try await node.text("systemctl is-active \(unit)") == "active")
            }
        }
    }

    @Test func `a start that died before its last line is done again and leaves nothing behind`() async throws {
        try await BootedNode.with { node in
            try await node.text("systemctl start local")
            let process = "systemctl show -p MainPID local"
            _ = try await node.service("local", "stopped").perform(node.context())
            // What a start does, up to the line where its connection was cut.
            try await node.text("rm /var/lib/pawl/service/*.local.service.hold && systemctl start local")
            let started = try await node.text(process)
            let start = try node.service("local", "started")
            guard case .notBegun = try await start.observe(node.context()) else {
                Issue.record("a start that left its hold behind is taken for done")
                return
            }
            _ = try await start.perform(node.context())
            #expect(try await node.text("find /run/systemd /etc/systemd -name '*pawl*'").isEmpty)
            #expect(try await node.text(process) == started)
            guard case .done = try await start.observe(node.context()) else {
                Issue.record("a start that was brought to its end is not seen as done")
                return
            }
        }
    }

    @Test func `what a shutdown has stopped is not found stopped`() async throws {
        try await BootedNode.with { node in
            try await node.text(
                """
                printf '[Unit]\nWants=local.service\n[Service]\nExecStart=/bin/sleep 1000\nExecStop=/bin/sleep 60\n' >/run/systemd/system/slow.service
                systemctl daemon-reload; systemctl start local slow; systemctl --no-block poweroff
                until [ "$(systemctl is-active local)" = inactive ]; do sleep 0.05; done
                """
            )
            let stop = try node.service("local", "stopped")
            let refused = try await failure { try await stop.perform(node.context()) }
            #expect(refused.message.contains("going down"), "\(refused)")
            #expect(try await node.text("ls /var/lib/pawl/service 2>/dev/null").isEmpty)
        }
    }

    @Test func `an etcd that had to be killed is not cleanly stopped`() async throws {
        try await BootedNode.with { node in
            try await node.text("systemctl start stubborn")
            let stop = try node.service("stubborn", "stopped")
            let error = try await failure { try await stop.perform(node.context()) }
            #expect(error.message.contains("did not stop cleanly") && error.message.contains("timeout"), "\(error)")
            #expect(error.remedy?.contains("do not migrate") == true)
            // A later try, and another run, do not take the dead unit for a clean one.
            for run in ["r1", "r2"] {
                var later = node
                later.run = run
                let again = try await failure { try await stop.perform(later.context()) }
                #expect(again.message.contains("how it ended is not known"), "\(again)")
            }
            _ = try await stop.undo(node.context())
            #expect(try await node.text("systemctl is-active stubborn") == "active")
            try await node.text(
                "systemctl kill -s KILL local; systemctl start local; systemctl mask --runtime --now vendor"
            )
            let masked = try await failure { try await node.service("vendor", "stopped").perform(node.context()) }
            #expect(masked.message.contains("masked"), "\(masked)")
        }
    }

    @Test func `a unit that dies after its start is not started, and its log is shown`() async throws {
        try await BootedNode.with { node in
            let start = try node.service("crashing", "started")
            let error = try await failure { try await start.perform(node.context()) }
            #expect(error.message.contains("did not start"), "\(error)")
            #expect(error.message.contains("| no data here"), "\(error)")
            // The undo of a start holds the unit down even where it never came up.
            _ = try await start.undo(node.context())
            #expect(try await node.text("systemctl is-active crashing") != "active")
            let missing = try await failure { try await node.service("nothing", "started").perform(node.context()) }
            #expect(missing.message.contains("there is no unit nothing.service"), "\(missing)")
        }
    }

    @Test func `what a unit said is shown also where the journal was too slow to know whose it was`() async throws {
        try await BootedNode.with { node in
            try await node.text(
                """
                printf '[Service]\nExecStart=/usr/bin/etcd --data-dir /run/brief --listen-peer-urls http://10.255.255.1:1\n' >/run/systemd/system/brief.service
                systemctl daemon-reload
                journal=$(pidof systemd-journald); kill -STOP "$journal"
                (
                  until systemctl show -p ExecMainCode brief | grep -qx ExecMainCode=1; do sleep 0.02; done
                  kill -CONT "$journal"
                ) >/dev/null 2>&1 </dev/null &
                """
            )
            let error = try await failure { try await node.service("brief", "started").perform(node.context()) }
            #expect(error.message.contains("cannot assign requested address"), "\(error)")
        }
    }

    @Test func `a restart leaves another process, and says when the old one had to be killed`() async throws {
        try await BootedNode.with { node in
            try await node.text("systemctl start local")
            let restart = try node.service("local", "restarted")
            let before = try await node.text("systemctl show -p MainPID local")
            let evidence = try await restart.perform(node.context("s.1/n1"))
            #expect(evidence.values["clean"] == "yes")
            #expect(try await node.text("systemctl show -p MainPID local") != before)
            guard case .done = try await restart.observe(node.context("s.1/n1")),
                case .notBegun = try await restart.observe(node.context("s.2/n1"))
            else {
                Issue.record("a restart is not told from another step's")
                return
            }
            try await node.text("systemctl start stubborn")
            let error = try await failure { try await node.service("stubborn", "restarted").perform(node.context()) }
            #expect(error.message.contains("runs again, but did not stop cleanly"), "\(error)")
        }
    }
}

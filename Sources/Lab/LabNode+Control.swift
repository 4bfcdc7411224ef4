// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What tests do to a node, on ways that do not go through the SSH that is under test.
extension LabNode {
    /// Runs a shell script on the node: as root on a booted one, as the current user on a plain one.
    package func run(_ script: String) async throws -> LabOutput {
        guard kind == .booted else {
            let path = "PATH=\(directory)/bin:$PATH; export PATH; "
            return try await LabProgram.run("sh", ["-c", path + script])
        }
        guard let leader = BootedNode.leader(self) else {
            throw LabError(.notReady, "\(name) is not running", remedy: "start it with `boot`")
        }
        // The child's environment is the node's own, not that of whoever runs the tests.
        let environment = [
            "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
        ]
        return try await LabProgram.run(
            "nsenter",
            ["--target", "\(leader.id)", "--all"] + environment + ["sh", "-c", script]
        )
    }

    /// Runs a script that has to succeed, and answers with what it printed.
    @discardableResult
    package func check(_ script: String) async throws -> String {
        let output = try await run(script)
        guard output.exitCode == 0 else {
            let why = (output.standardError + output.standardOutput).trimmed
            throw LabError(.program, "\(name): `\(script.prefix(200))` ended with \(output.exitCode): \(why)")
        }
        return output.standardOutput
    }

    package func stopEtcd() async throws {
        try await etcd("stop")
    }

    package func startEtcd() async throws {
        try await etcd("start")
    }

    package func isEtcdRunning() async throws -> Bool {
        let status = kind == .booted ? "systemctl is-active --quiet etcd" : "\(directory)/service etcd status"
        return try await run(status).exitCode == 0
    }

    /// Ends etcd as a crash would: SIGKILL, nothing flushed.
    package func crashEtcd() async throws {
        if kind == .booted {
            try await check("systemctl kill --signal=KILL etcd")
            return
        }
        guard let process = LabProcess(file: processFile("etcd")) else { return }
        _ = await process.end()
    }

    /// Cuts the node's power: nothing on it gets to end in order.
    ///
    /// Its disk stays. Booted nodes only.
    package func powerOff() async throws {
        try requireBooted("powered off")
        try await BootedNode.powerOff(self)
    }

    /// Boots a node that was powered off, and waits until it lets us in and its etcd is healthy again.
    package func boot(in state: LabState) async throws {
        try requireBooted("booted")
        try await BootedNode.boot(self, in: state)
        var alone = state
        alone.nodes = [self]
        try await LabReadiness(alone).waitForNodes()
    }

    /// Cuts every SSH connection to the node; the server goes on listening.
    package func cutConnections() async throws {
        if kind == .booted {
            // The listener calls itself `sshd: /usr/sbin/sshd -D [listener] …`; `admin@` is only in sessions.
            _ = try await run("pkill -KILL -f '^sshd: admin'")
            return
        }
        guard let listener = LabProcess(file: processFile("sshd")) else { return }
        for session in listener.children {
            for child in session.children { child.signal(SIGKILL) }
            session.signal(SIGKILL)
        }
    }

    /// Pulls the network cable: packets are lost in silence, connections stay open.
    ///
    /// Booted nodes only.
    package func unplug() async throws {
        try requireBooted("unplugged")
        try await check("ip link set host0 down")
    }

    package func plug() async throws {
        try requireBooted("plugged in")
        try await check("ip link set host0 up")
    }

    /// Stops everything on the node between two instructions, as a paused virtual machine is.
    ///
    /// Booted nodes only, in a hierarchy of control groups of version 2.
    package func freeze() async throws { try setFrozen(true) }

    package func thaw() async throws { try setFrozen(false) }

    private func setFrozen(_ isFrozen: Bool) throws {
        try requireBooted("frozen")
        let files = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map { "\($0)/\(machine)/cgroup.freeze" }
        guard let file = files.first(where: FileManager.default.fileExists) else {
            throw LabError(.missing, "\(name) has no control group that can be frozen")
        }
        try (isFrozen ? "1" : "0").write(toFile: file, atomically: false, encoding: .utf8)
    }

    /// Puts a script in the place of a program; the original stays beside it as `PATH.original` and is there for the
    /// script as `$ORIGINAL`.
    ///
    /// On a plain node it shadows the program by its name instead, for logins over SSH.
    package func replaceProgram(_ path: String, with script: String) async throws {
        let name = (path as NSString).lastPathComponent
        let target = kind == .booted ? path : "\(directory)/bin/\(name)"
        let original = kind == .booted ? "\(path).original" : (LabProgram.path(of: name) ?? path)
        let text = "#!/bin/sh\nORIGINAL=\(original)\n\(script)\n"
        let keep = kind == .booted ? "[ -e \(original) ] || mv \(path) \(original)\n" : ""
        let encoded = Data(text.utf8).base64EncodedString()
        try await check(
            "set -e\n\(keep)echo \(encoded) | base64 -d >\(target).new\nchmod 755 \(target).new\nmv \(target).new \(target)"
        )
    }

    /// Puts the original back.
    package func restoreProgram(_ path: String) async throws {
        let name = (path as NSString).lastPathComponent
        let script =
            kind == .booted
            ? "if [ -e \(path).original ]; then mv -f \(path).original \(path); fi" : "rm -f \(directory)/bin/\(name)"
        try await check(script)
    }

    private func etcd(_ verb: String) async throws {
        try await check(kind == .booted ? "systemctl \(verb) etcd" : "\(directory)/service etcd \(verb)")
    }

    private func requireBooted(_ what: String) throws {
        guard kind == .booted else {
            throw LabError(
                .options,
                "\(name) is a plain node and cannot be \(what)",
                remedy: "use booted nodes, as root"
            )
        }
    }
}

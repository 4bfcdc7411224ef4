// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Makes nodes that boot: each an overlay of this machine's `/` in a container of systemd-nspawn.
///
/// The overlay is mounted in a mount namespace of the node's own, so that it is gone with the node, however that
/// ends; only its upper layer stays in the lab's directory, and a node that is started again finds its data.
enum BootedNode {
    static let programs = [
        "systemd-nspawn", "ip", "unshare", "nsenter", "setsid", "mount", "umount", "sshd", "ssh", "ssh-keygen", "sudo",
        "etcd", "etcdctl", "curl", "dbus-daemon",
    ]

    /// Throws the reason why this machine cannot boot nodes.
    static func checkCapability() async throws {
        guard geteuid() == 0 else {
            throw LabError(.notPermitted, "booted nodes need root", remedy: "run as root, or use plain nodes")
        }
        try LabProgram.require(programs)
        let units = ["/lib/systemd/system", "/usr/lib/systemd/system"]
        for (unit, package) in [("etcd.service", "etcd-server"), ("ssh.service", "openssh-server")] {
            guard units.contains(where: { FileManager.default.fileExists(atPath: "\($0)/\(unit)") }) else {
                throw LabError(.missing, "there is no unit \(unit) here", remedy: "apt-get install \(package)")
            }
        }
        // All in namespaces that end with the shell: nothing of it is left on the machine.
        let probe = """
            set -e; ip link add probe type bridge; mount -t tmpfs probe /mnt; mkdir /mnt/u /mnt/w /mnt/r
            mount -t overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w probe /mnt/r
            """
        let output = try await LabProgram.run("unshare", ["--mount", "--net", "sh", "-c", probe])
        guard output.exitCode == 0 else {
            throw LabError(
                .notPermitted,
                "this kernel does not let us make a bridge and an overlay: \(output.standardError.trimmed)",
                remedy: "in a container, give it --privileged; or use plain nodes"
            )
        }
    }

    /// An upper layer cannot be on an overlay itself (Documentation/filesystems/overlayfs.rst of the kernel), as it
    /// would be in most containers.
    ///
    /// Nodes then live in memory.
    static func mountMemoryIfNeeded(_ layout: LabLayout) async throws {
        let type = try await LabProgram.check("stat", ["--file-system", "--format=%T", layout.nodes]).trimmed
        guard type.contains("overlay") || type == "aufs" else { return }
        try await LabProgram.check("mount", ["-t", "tmpfs", "-o", "mode=0700", "pawl-lab", layout.nodes])
    }

    /// Writes what the node needs to boot.
    static func prepare(_ node: LabNode, in state: LabState) async throws {
        let layout = state.layout
        for folder in ["upper", "work", "root"] { try layout.makeDirectory("\(node.directory)/\(folder)", mode: 0o755) }
        try await NodeFiles.write(for: node, in: state)
        try layout.write(bootScript(node, state), to: "\(node.directory)/boot", mode: 0o700)
    }

    /// Starts the node and comes back; it is up when its services answer.
    static func boot(_ node: LabNode, in state: LabState) async throws {
        let log = "\(state.layout.logs)/\(node.name).log"
        // The node must neither hold our pipes nor be in our session, or it would end with us.
        let start = "setsid \(node.directory)/boot </dev/null >>\(log) 2>&1 &"
        try? FileManager.default.removeItem(atPath: node.processFile())
        try await LabProgram.check("sh", ["-c", start])
    }

    /// The node's PID 1: the only process below the supervisor that begins another process namespace.
    static func leader(_ node: LabNode) -> LabProcess? {
        guard let supervisor = LabProcess(file: node.processFile()) else { return nil }
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")
        return supervisor.children.flatMap(\.children).first { child in
            let namespace = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(child.id)/ns/pid")
            return namespace != nil && namespace != own
        }
    }

    /// Cuts the node's power and waits until nothing of it runs.
    static func powerOff(_ node: LabNode) async throws {
        guard let supervisor = LabProcess(file: node.processFile()), supervisor.isRunning else { return }
        // The container's program puts away interface and scope when PID 1 dies under it; killed itself, it cannot,
        // and PID 1 lives on. A node that is only now starting has no PID 1 yet, so it is looked for again and again.
        let ended = await Wait.until(seconds: 5) {
            leader(node)?.signal(SIGKILL)
            return !supervisor.isRunning
        }
        if ended { return }
        let container = supervisor.children
        for process in [supervisor] + container.flatMap(\.children) + container where await !process.end() {
            throw LabError(
                .busy,
                "\(node.name): process \(process.id) does not end on SIGKILL",
                remedy: "look at it with `cat /proc/\(process.id)/stack`, then take the lab down again"
            )
        }
    }

    /// The control groups that the boot script made.
    ///
    /// The kernel refuses to remove one that a process is in, and the last one leaves only when it is reaped.
    static func removeControlGroups(_ node: LabNode) async throws {
        guard !node.machine.isEmpty else { return }
        let roots = ["/sys/fs/cgroup"] + ["systemd", "unified"].map { "/sys/fs/cgroup/\($0)" }
        let groups = roots.map { "\($0)/\(node.machine)" }
        _ = try await Wait.until(seconds: 5) {
            let left = groups.filter { FileManager.default.fileExists(atPath: $0) }
            if left.isEmpty { return true }
            _ = try await LabProgram.run("find", left + ["-depth", "-type", "d", "-exec", "rmdir", "{}", ";"])
            return false
        }
    }

    private static func bootScript(_ node: LabNode, _ state: LabState) -> String {
        let disk = state.options.limitedDisk.map { " --tmpfs=\($0.path):size=\($0.megabytes)M,mode=0755" } ?? ""
        return """
            #!/bin/sh
            # Boots \(node.name) of the lab in \(state.directory). Started by pawl with setsid.
            set -eu
            cd \(node.directory)
            if [ "${1-}" != inside ]; then
                exec unshare --mount --propagation private "$0" inside
            fi

            \(Self.introduction(file: node.processFile(), ending: state.layout.ending))

            root=\(node.directory)/root
            mount -t overlay -o lowerdir=/,upperdir=\(node.directory)/upper,workdir=\(node.directory)/work pawl "$root"
            if [ ! -e prepared ]; then
            \(NodeFiles.installScript)
            \(programs(state))
                : >prepared
            fi

            # With systemd as PID 1 of this machine nspawn asks it for a scope. Without, every container would use
            # the same control group, and stopping etcd on one node would wait for the etcd of the others.
            unit=
            if [ ! -d /run/systemd/system ]; then
                unit=--keep-unit
                for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/systemd /sys/fs/cgroup/unified; do
                    [ -f "$hierarchy/cgroup.procs" ] || continue
                    mkdir -p "$hierarchy/\(node.machine)"
                    echo $$ >"$hierarchy/\(node.machine)/cgroup.procs"
                done
            fi
            # With --keep-unit it ends with 133 to be started again when the node reboots (systemd-nspawn(1)).
            code=133
            while [ "$code" -eq 133 ]; do
                code=0
                systemd-nspawn --quiet --register=no $unit --directory="$root" --machine=\(node.machine) \\
                    --hostname=\(node.name) --network-bridge=\(state.bridge ?? "") --resolv-conf=off --timezone=off \\
                    --link-journal=no\(disk) --setenv=\(PlainNode.mark(state)) --boot --console=pipe || code=$?
            done
            exit "$code"

            """
    }

    /// Puts the etcd of another directory in the place of this machine's.
    private static func programs(_ state: LabState) -> String {
        guard let directory = state.options.etcdDirectory else { return "" }
        return "for name in etcd etcdctl; do install -m 0755 \(directory)/$name \"$root/usr/bin/$name\"; done"
    }

    /// Lines of a script that is about to become a process of the lab: it says who it is, and ends when the lab is
    /// being taken down.
    ///
    /// In this order no interleaving with `down` leaves it running unknown.
    static func introduction(file: String, ending: String) -> String {
        """
        stat=$(cat /proc/$$/stat)
        fields=${stat##*) }
        start=$(echo "$fields" | cut -d' ' -f20)
        echo "$$ $start" >\(file).partial
        mv \(file).partial \(file)
        [ ! -e \(ending) ] || exit 1
        """
    }
}

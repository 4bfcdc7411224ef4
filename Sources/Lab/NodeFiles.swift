// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation

/// The files that make an overlay of this machine a node of its own.
///
/// They are written beside the overlay and copied into it by the boot script, as root's, the first time that the node
/// starts.
enum NodeFiles {
    static func write(for node: LabNode, in state: LabState) async throws {
        let layout = state.layout
        func put(_ path: String, _ text: String, mode: Int = 0o644) throws {
            let file = "\(node.directory)/files/\(path)"
            try layout.makeDirectory(FilePath.folder(of: file), mode: 0o755)
            try layout.write(text, to: file, mode: mode)
        }
        try put("etc/hostname", "\(node.name)\n")
        try put("etc/machine-id", "\(machineID(node, state))\n", mode: 0o444)
        try put("etc/hosts", hosts(state))
        // No name is looked up beyond the node: a name server that cannot be reached would cost seconds per login.
        try put("etc/resolv.conf", "")
        try put("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
        try put("etc/fstab", "")
        try put("etc/sudoers.d/pawl-lab", "admin ALL=(ALL:ALL) NOPASSWD: ALL\n", mode: 0o440)
        try put("etc/default/etcd", etcdDefaults(node, state))
        try put("etc/systemd/journald.conf.d/pawl-lab.conf", "[Journal]\nStorage=volatile\nRateLimitBurst=0\n")
        try put("etc/systemd/system/pawl-lab-address.service", addressUnit(node))
        try put("etc/ssh/sshd_config", sshdConfiguration)
        for (name, text) in node.tls == true ? try LabCertificates.files(of: node, in: state) : [] {
            try put("etc/etcd/pki/\(name)", text, mode: name.hasSuffix(".key") ? 0o600 : 0o644)
        }
        let publicKey = try String(contentsOfFile: "\(layout.privateKey).pub", encoding: .utf8)
        try put("home/admin/.ssh/authorized_keys", publicKey, mode: 0o600)
        let hostKey = "\(node.directory)/host_key"
        for end in ["", ".pub"] {
            let text = try String(contentsOfFile: hostKey + end, encoding: .utf8)
            try put("etc/ssh/ssh_host_ed25519_key\(end)", text, mode: end.isEmpty ? 0o600 : 0o644)
        }
    }

    /// Runs in the node's own mount namespace with `$root` mounted.
    ///
    /// `/etc/systemd/system` starts empty: whatever this machine enabled, masked or changed there is not the node's.
    static let installScript = """
            rm -rf "$root/etc/systemd/system" "$root/etc/ssh" "$root/var/lib/etcd" "$root/var/backups/pawl"
            rm -rf "$root/home/admin" "$root/etc/resolv.conf" "$root/etc/machine-id" "$root/etc/sudoers.d/pawl-lab"
            rm -rf "$root/var/log/journal"
            # The password is one that nothing matches, and not a locked one: sshd lets keys in.
            sed -i '/^admin:/d' "$root/etc/passwd" "$root/etc/shadow" "$root/etc/group"
            echo 'admin:x:61213:61213::/home/admin:/bin/bash' >>"$root/etc/passwd"
            echo 'admin:*:19000:0:99999:7:::' >>"$root/etc/shadow"
            echo 'admin:x:61213:' >>"$root/etc/group"
            cp -R --preserve=mode files/. "$root/"
            chown -R 61213:61213 "$root/home/admin"
            chmod 0700 "$root/home/admin/.ssh"
            # Of the keys only the server's is for etcd's eyes.
            if [ -e "$root/etc/etcd/pki/server.key" ]; then chown etcd:etcd "$root/etc/etcd/pki/server.key"; fi
            install -d -o etcd -g etcd -m 0700 "$root/var/lib/etcd"
            wants="$root/etc/systemd/system/multi-user.target.wants"
            mkdir -p "$wants"
            ln -s /etc/systemd/system/pawl-lab-address.service "$wants/"
            ln -s /lib/systemd/system/ssh.service "$wants/"
            ln -s /lib/systemd/system/etcd.service "$wants/"
            ln -s /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
            for unit in \(masked.joined(separator: " ")); do
                ln -s /dev/null "$root/etc/systemd/system/$unit"
            done
        """

    /// What Debian starts by itself and a node does without: it costs boot time, or it would reach for the kernel's
    /// settings, which the nodes share with this machine.
    private static let masked = [
        "console-getty.service", "cryptsetup.target", "dev-hugepages.mount", "dev-mqueue.mount", "getty-static.service",
        "getty.target", "integritysetup.target", "kmod-static-nodes.service", "ldconfig.service", "machines.target",
        "proc-sys-fs-binfmt_misc.automount", "ssh.socket", "sys-fs-fuse-connections.mount", "sys-kernel-config.mount",
        "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-ask-password-console.path",
        "systemd-ask-password-wall.path", "systemd-binfmt.service", "systemd-firstboot.service",
        "systemd-hwdb-update.service", "systemd-initctl.socket", "systemd-journal-catalog-update.service",
        "systemd-journal-flush.service", "systemd-journald-audit.socket", "systemd-logind.service",
        "systemd-machine-id-commit.service", "systemd-modules-load.service", "systemd-networkd.service",
        "systemd-networkd.socket", "systemd-pcrphase-sysinit.service", "systemd-pcrphase.service",
        "systemd-random-seed.service", "systemd-repart.service", "systemd-resolved.service", "systemd-sysctl.service",
        "systemd-sysusers.service", "systemd-timesyncd.service", "systemd-tmpfiles-clean.timer",
        "systemd-update-done.service", "systemd-update-utmp-runlevel.service", "systemd-update-utmp.service",
        "veritysetup.target", "var-lib-machines.mount",
    ]

    private static func machineID(_ node: LabNode, _ state: LabState) -> String {
        let number = node.name.utf8.last.map { String(format: "%02x", $0) } ?? "00"
        return String(state.id.prefix(30)) + number
    }

    private static func hosts(_ state: LabState) -> String {
        "127.0.0.1 localhost\n" + state.nodes.map { "\($0.address) \($0.name)\n" }.joined()
    }

    /// Debian's unit reads this file as its EnvironmentFile and gives `DAEMON_ARGS` to the program.
    private static func etcdDefaults(_ node: LabNode, _ state: LabState) -> String {
        var environment = EtcdConfiguration.environment(of: node, in: state)
        let arguments = state.options.extras(of: node.name).arguments
        if !arguments.isEmpty { environment["DAEMON_ARGS"] = arguments.joined(separator: " ") }
        return environment.sorted { $0.key < $1.key }.map { "\($0.key)=\"\($0.value)\"\n" }.joined()
    }

    private static func addressUnit(_ node: LabNode) -> String {
        """
        [Unit]
        Description=The node's address in its lab
        DefaultDependencies=no
        After=local-fs.target
        Before=network.target network-online.target ssh.service etcd.service
        Wants=network.target

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        ExecStart=ip link set host0 up
        ExecStart=ip addr add \(node.address)/24 dev host0

        [Install]
        WantedBy=multi-user.target

        """
    }

    private static let sshdConfiguration = """
        HostKey /etc/ssh/ssh_host_ed25519_key
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        UsePAM yes
        UseDNS no
        PrintMotd no
        MaxStartups 100
        MaxSessions 100
        Subsystem sftp internal-sftp

        """
}

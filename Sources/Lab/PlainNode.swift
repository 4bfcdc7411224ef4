// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Makes nodes without root: one sshd and one etcd of the current user on a loopback address.
enum PlainNode {
    static let programs = ["sshd", "ssh", "ssh-keygen", "etcd", "etcdctl", "curl", "setsid"]

    /// The variable that every process of a node carries, also those that a login to a plain node left behind.
    static func mark(_ state: LabState) -> String { "PAWL_LAB_ID=\(state.id)" }

    /// Every address of 127.0.0.0/8 is this machine's on Linux, so each node has the usual ports on one of its own.
    static func chooseNetwork(_ state: inout LabState) throws {
        for network in LabNetwork.candidates(state.options, id: state.id, base: "127.213") {
            state.use(network: network)
            let busy = state.nodes.contains { node in
                [node.sshPort, node.clientPort, node.peerPort].contains { !LocalPort.isFree($0, at: node.address) }
            }
            if !busy { return }
        }
        throw LabError(
            .network,
            "a port of 22022, 2379 and 2380 is in use at \(state.options.network ?? "127.213.1 to 127.213.254")",
            remedy: "see `ss -ltnp`; take another lab down, or choose a network of 127.0.0.0/8"
        )
    }

    static func prepare(_ node: LabNode, in state: LabState) throws {
        let layout = state.layout
        for name in ["bin", "home"] { try layout.makeDirectory("\(node.directory)/\(name)") }
        try layout.makeDirectory(node.backupDirectory)
        if let directory = state.options.etcdDirectory {
            let link = "\(node.directory)/bin/etcdctl"
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "\(directory)/etcdctl")
        }
        if node.tls == true {
            try layout.makeDirectory(node.certificates.directory)
            for (name, text) in try LabCertificates.files(of: node, in: state) {
                try layout.write(text, to: "\(node.certificates.directory)/\(name)")
            }
        }
        let key = try String(contentsOfFile: "\(layout.privateKey).pub", encoding: .utf8)
        try layout.write(key, to: "\(node.directory)/authorized_keys")
        try layout.write(sshdConfiguration(node, state), to: "\(node.directory)/sshd_config")
        try layout.write(serviceScript(node, state), to: "\(node.directory)/service", mode: 0o700)
        // sshd of root wants this directory, which a machine without a running sshd does not have (sshd(8)).
        if geteuid() == 0 { try layout.makeDirectory("/run/sshd", mode: 0o755) }
    }

    /// Starts sshd and etcd; comes back when etcd answers.
    static func start(_ node: LabNode) async throws {
        for daemon in ["sshd", "etcd"] { try await service(daemon, "start", on: node) }
    }

    static func service(_ daemon: String, _ verb: String, on node: LabNode) async throws {
        let output = try await LabProgram.run("\(node.directory)/service", [daemon, verb])
        guard output.exitCode == 0 else {
            throw LabError(.boot, "\(node.name): \(daemon) did not \(verb): \(output.standardError.trimmed)")
        }
    }

    /// Ends all that runs on the node.
    static func kill(_ node: LabNode) async throws {
        for daemon in ["sshd", "etcd"] {
            guard let process = LabProcess(file: node.processFile(daemon)), process.isRunning else { continue }
            guard await process.end() else {
                throw LabError(.busy, "\(node.name): process \(process.id) (\(daemon)) does not end on SIGKILL")
            }
        }
    }

    private static func sshdConfiguration(_ node: LabNode, _ state: LabState) -> String {
        // The first match wins, so programs in the node's bin stand before those of the machine.
        let path = "\(node.directory)/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return """
            ListenAddress \(node.address):\(node.sshPort)
            HostKey \(node.directory)/host_key
            AuthorizedKeysFile \(node.directory)/authorized_keys
            PidFile none
            # The directories above the lab may be writable for others, as /tmp is; the key file itself is not.
            StrictModes no
            UsePAM no
            UseDNS no
            PasswordAuthentication no
            KbdInteractiveAuthentication no
            PermitRootLogin prohibit-password
            PrintMotd no
            MaxStartups 100
            MaxSessions 100
            # A home of its own: start-up files of the user's shell may take long, or wait for a lock.
            SetEnv PATH=\(path) HOME=\(node.directory)/home \(mark(state))
            Subsystem sftp internal-sftp

            """
    }

    private static func serviceScript(_ node: LabNode, _ state: LabState) -> String {
        let extras = state.options.extras(of: node.name).arguments.map { "'\($0)'" }.joined(separator: " ")
        let environment = EtcdConfiguration.environment(of: node, in: state).sorted { $0.key < $1.key }
            .map { "            export \($0.key)='\($0.value)'" }.joined(separator: "\n")
        let words = node.curlWords.joined(separator: " ")
        let etcd = state.options.etcdDirectory.map { "\($0)/etcd" } ?? LabProgram.path(of: "etcd") ?? "/usr/bin/etcd"
        let sshd = LabProgram.path(of: "sshd") ?? "/usr/sbin/sshd"
        return """
            #!/bin/sh
            # service etcd|sshd start|stop|status: a daemon of \(node.name) without systemd.
            # status ends with 0 when it runs and with 3 when it does not, as an LSB init script's.
            set -eu
            daemon=$1
            file=\(node.directory)/$daemon.pid
            log=\(state.layout.logs)/\(node.name)-$daemon.log

            running() {
                [ -r "$file" ] || return 1
                read -r pid began <"$file" || return 1
                now=$(cat "/proc/$pid/stat" 2>/dev/null) || return 1
                set -- ${now##*) }
                [ "$1" != Z ] && [ "${20}" = "$began" ]
            }

            answers() {
                [ "$daemon" = sshd ] || curl -s -o /dev/null --max-time 1 \(words) \(node.clientURL)/version
            }

            case $2 in
            start)
                if running; then exit 0; fi
                rm -f "$file"
                setsid "$0" "$daemon" become </dev/null >>"$log" 2>&1 &
                tries=0
                while [ "$tries" -lt 600 ]; do
                    # Whoever started this may be gone, and somebody takes the lab down.
                    if [ -e \(state.layout.ending) ] || [ ! -d \(node.directory) ]; then exit 1; fi
                    if [ -e "$file" ]; then
                        if ! running; then break; fi
                        if answers; then exit 0; fi
                    fi
                    sleep 0.05
                    tries=$((tries + 1))
                done
                echo "$daemon of \(node.name) did not come up; the end of $log:" >&2
                tail -n 5 "$log" >&2
                exit 1
                ;;
            stop)
                if ! running; then exit 0; fi
                kill "$pid"
                tries=0
                while running; do
                    tries=$((tries + 1))
                    if [ "$tries" -gt 1200 ]; then echo "$daemon of \(node.name) does not stop" >&2; exit 1; fi
                    sleep 0.05
                done
                ;;
            status)
                if running; then echo "$daemon is running, process $pid"; exit 0; fi
                echo "$daemon is stopped"
                exit 3
                ;;
            become)
                \(BootedNode.introduction(file: "\"$file\"", ending: state.layout.ending).indented)
                export \(mark(state))
                case $daemon in
                sshd) exec \(sshd) -D -e -f \(node.directory)/sshd_config ;;
                etcd)
            \(environment)
                    exec \(etcd) \(extras)
                    ;;
                esac
                ;;
            *)
                echo "usage: $0 etcd|sshd start|stop|status" >&2
                exit 64
                ;;
            esac

            """
    }
}

extension String {
    fileprivate var indented: String { split(separator: "\n").joined(separator: "\n    ") }
}

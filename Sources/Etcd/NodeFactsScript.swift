// SPDX-License-Identifier: Apache-2.0

import Remote

extension NodeFacts {
    /// Looks at the process behind the client URL, and at the data dir.
    ///
    /// Which files etcd really uses is read from its open file descriptors and compared by device and inode, rather
    /// than from flags, which may stand on the command line, in the environment, in a configuration file or nowhere.
    /// The process is the one that holds the listening socket of the client URL, so that of several members on one
    /// machine the right one is looked at.
    static func script(_ settings: EtcdSettings, transformer: String? = nil) -> String {
        let quote = ShellQuoting.quote
        let tools = ["curl", "awk", "sha256sum", "flock", "timeout", "stat", settings.etcdctl]
        return """
            \(directories(settings))
            listeners=\(quote(listeners(settings.endpoint)))
            for tool in \(ShellQuoting.line(tools)); do
            command -v "$tool" >/dev/null 2>&1 || echo "missing $tool"
            done
            if [ "$(id -u)" = 0 ] && [ \(quote(settings.user)) != root ] && ! command -v runuser >/dev/null 2>&1; then
            echo "missing runuser"
            fi
            \(processScript)
            \(HiddenKeysScript.newestSnapshot)
            echo "snapshots $snapshots"
            \(HiddenKeysScript.script(settings))
            \(filesScript)
            \(transformer.map { TransformerFile.script($0, user: settings.user) } ?? "")
            """
    }

    /// Sets `data_dir` and `wal_dir`.
    static func directories(_ settings: EtcdSettings) -> String {
        let walDir = settings.walDir ?? settings.dataDir + "/member/wal"
        return "data_dir=\(ShellQuoting.quote(settings.dataDir)) wal_dir=\(ShellQuoting.quote(walDir))"
    }

    /// Owner, modes and labels, and the room that a migration needs: beside the data directory for copies, as
    /// `etcd_prepare` measures it, and on its disk for the migrated keys.
    private static let filesScript = #"""
        free() { df -Pk -- "$1" | { read -r _; read -r _ _ _ free _; echo "$free"; }; }
        db=$data_dir/member/snap/db
        [ -e "$db" ] && echo "db_exists yes"
        echo "owner $(stat -c %U "$db" 2>/dev/null)"
        echo "db_mode $(stat -c %a "$db" 2>/dev/null)"
        echo "db_label $(stat -c %C "$db" 2>/dev/null | grep -v '^?$')"
        echo "dir_mode $(stat -c %a "$data_dir" 2>/dev/null)"
        if data=$(cd -P -- "$data_dir" 2>/dev/null && pwd -P); then
        echo "free_kilobytes $(free "$data")"
        echo "free_inodes $(df -Pi -- "$data" | { read -r _; read -r _ total _ free _; [ "$total" = 0 ] || echo "$free"; })"
        if [ "$(stat -c %d -- "${data%/*}/")" = "$(stat -c %d -- "$data/member/snap/")" ]; then
        echo "copy_kilobytes $(du -skc -- "$wal_dir" "$data/member/snap" | { while read -r size _; do total=$size; done
        echo "$((total * 2))"; })"
        fi
        fi 2>/dev/null
        """#

    private static let processScript = #"""
        inodes=$(awk -v pattern="$listeners" '$4 == "0A" && $2 ~ pattern { print $10 }' \
            /proc/net/tcp /proc/net/tcp6 2>/dev/null)
        for comm in /proc/[0-9]*/comm; do
        read -r name 2>/dev/null <"$comm" || continue
        case $name in etcdctl*) continue;; etcd*) ;; *) continue;; esac
        process=${comm%/comm}
        links=$(ls -l "$process/fd" 2>/dev/null)
        serves=
        for inode in $inodes; do
        case $links in *"socket:[$inode]"*) serves=yes;; esac
        done
        [ -n "$serves" ] || continue
        echo "process ${process#/proc/}"
        echo "process_user $(stat -c %U "$process")"
        printf '%s\n' "$links" | sed -n 's/.* -> \(.*\)\/member\/snap\/db$/open_data_dir \1/p' | head -n 1
        open_wal=$(printf '%s\n' "$links" | sed -n 's/.* -> \(.*\)\/[^/]*\.wal$/\1/p' | head -n 1)
        echo "open_wal_dir $open_wal"
        for file in "$process"/fd/*; do
        if [ "$file" -ef "$data_dir/member/snap/db" ]; then echo "data_dir_open yes"; break; fi
        done
        if [ -n "$open_wal" ] && [ "$process/root$open_wal" -ef "$wal_dir" ]; then echo "wal_dir_open yes"; fi
        words=$(tr '\0' '\n' <"$process/cmdline"; tr '\0' '\n' <"$process/environ")
        config=$(printf '%s\n' "$words" | sed -n -e 's/^--*config-file=//p' -e 's/^ETCD_CONFIG_FILE=//p' \
            -e '/^--*config-file$/{n;p;}' | head -n 1)
        # etcd takes nothing else when it has a configuration file, so that its lines stand first.
        [ -n "$config" ] && words="$(cat "$process/root$config" 2>/dev/null)
        $words"
        printf '%s\n' "$words" | sed -n -e '/^--*[a-z-]*corrupt-check[a-z-]*=/s/^/corruption_check /p' \
            -e '/^--*[a-z-]*initial-corrupt-check$/s/^/corruption_check /p' \
            -e '/^--*[a-z-]*corrupt-check-time$/{N;s/\n/=/;s/^/corruption_check /p;}' \
            -e '/^ETCD_[A-Z_]*CORRUPT_CHECK[A-Z_]*=/s/^/corruption_check /p' \
            -e '/^ *"\{0,1\}[a-z-]*corrupt-check[a-z-]*"\{0,1\}: /s/^ */corruption_check /p'
        printf '%s\n' "$words" | sed -n -e 's/^ *"\{0,1\}quota-backend-bytes"\{0,1\}: */quota /p' \
            -e 's/^--*quota-backend-bytes=/quota /p' -e '/^--*quota-backend-bytes$/{n;s/^/quota /p;}' \
            -e 's/^ETCD_QUOTA_BACKEND_BYTES=/quota /p' | head -n 1
        break
        done 2>/dev/null
        """#

    /// The local addresses in `/proc/net/tcp` and `tcp6` on which the member behind an endpoint may listen, as a pattern.
    ///
    /// The kernel writes addresses in hexadecimal with the bytes of each 32 bits in the machine's order, which is the
    /// reversed one on every machine that etcd supports but s390x.
    static func listeners(_ endpoint: String) -> String {
        let authority = endpoint.split(separator: "/", omittingEmptySubsequences: true).dropFirst().first ?? ""
        let port = authority.split(separator: ":").last.flatMap { Int($0) } ?? 2379
        var host = authority.prefix { $0 != ":" }
        if host == "localhost" { host = "127.0.0.1" }
        let hexPort = upperHex(port, width: 4)
        let octets = host.split(separator: ".").compactMap { UInt8($0) }
        guard octets.count == 4 else { return ":\(hexPort)$" }
        let address = octets.reversed().map { upperHex(Int($0), width: 2) }.joined()
        let any = String(repeating: "0", count: 32)
        return "^(\(address)|00000000|\(any)|0000000000000000FFFF0000\(address)):\(hexPort)$"
    }

    private static func upperHex(_ number: Int, width: Int) -> String {
        let text = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, width - text.count)) + text
    }
}

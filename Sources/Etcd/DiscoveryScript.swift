// SPDX-License-Identifier: Apache-2.0

import Remote

/// Looks for running etcd processes on a node and tells what they were told and what they have open.
///
/// Changes nothing. Of the command line, the environment and the configuration file only what is needed leaves the node.
enum DiscoveryScript {
    static func command(said: [String: String]) -> RemoteCommand {
        let endpoint = said["etcd_endpoint"] ?? ""
        let script =
            NodeReport.prelude
            + NodeReport.assignments([
                "listeners": endpoint.isEmpty ? "" : NodeFacts.listeners(endpoint),
                "said_data_dir": said["etcd_data_dir"] ?? "",
            ]) + body
        return RemoteCommand("look for the running etcd", script: script, effect: .readOnly, timeout: .seconds(60))
    }

    private static let body = #"""
        names='name|data-dir|wal-dir|listen-client-urls|advertise-client-urls|cert-file|key-file|trusted-ca-file|config-file'
        variables=ETCD_$(printf '%s' "$names" | tr 'a-z-' 'A-Z_' | sed 's/|/|ETCD_/g')
        # A path of the process as a path of this node: the same one, or where the volume of a container is mounted.
        on_host() {
          if [ "$p/root$1" -ef "$1" ]; then printf '%s\n' "$1"; return; fi
          awk -v path="$1" '
            FNR == NR { at = $5 == "/" ? "" : $5
              if ((path == at || index(path, at "/") == 1) && length(at) >= length(best)) {
                best = at; device = $3; top = $4 == "/" ? "" : $4; rest = substr(path, length(at) + 1) }
              next }
            $3 == device { whole = top rest; mine = $4 == "/" ? "" : $4
              if (whole == mine || index(whole, mine "/") == 1)
                print ($5 == "/" ? "" : $5) substr(whole, length(mine) + 1) }
            ' "$p/mountinfo" /proc/self/mountinfo 2>/dev/null | while IFS= read -r there; do
            if [ "$p/root$1" -ef "$there" ]; then printf '%s\n' "$there"; break; fi
          done
        }
        # Relative paths are meant from where the process stands.
        absolute() { case $1 in /*) printf '%s\n' "$1";; *) printf '%s/%s\n' "$(readlink "$p/cwd")" "$1";; esac; }
        # The value that the process was given, the last one of flags, environment, file.
        given() {
          if [ -n "$config" ]; then
            printf '%s\n' "$settings" | sed -n "s/^$1: *//p" | head -n 1 | sed "s/^[\"']//; s/[\"']\$//"
            return
          fi
          value=$(tr '\0' '\n' <"$p/cmdline" | sed -n -e "s/^--*$1=//p" -e "/^--*$1\$/{n;p;}" | tail -n 1)
          if [ -z "$value" ]; then
            value=$(tr '\0' '\n' <"$p/environ" 2>/dev/null |
              sed -n "s/^ETCD_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')=//p" | tail -n 1)
          fi
          printf '%s\n' "$value"
        }
        agrees() {
          if [ -n "$2" ] && [ -n "$3" ]; then
            if [ "$p/root$(absolute "$2")" -ef "$p/root$3" ]; then say "agrees_$1" yes; else say "agrees_$1" no; fi
          fi
        }
        tell_process() {
          say process "${p#/proc/}"
          # A user of a container may have no name on the node; then it is not known whom to run a migration as.
          user=$(stat -c %U "$p")
          if [ "$user" != UNKNOWN ]; then say user "$user"; fi
          tr '\0' '\n' <"$p/cmdline" | grep -A 1 -E -e "^--?($names)(=|\$)" | grep -v '^--$' | sed 's/^/arg=/'
          tr '\0' '\n' <"$p/environ" 2>/dev/null | grep -E "^($variables)=" | sed 's/^/env=/'
          config=; config=$(given config-file)
          settings=
          if [ -n "$config" ]; then
            config=$(absolute "$config")
            # The keys at the left edge, and those of the section for clients.
            settings=$(awk '/^[a-z]/ { section = $1 } /^[a-z]/ || section == "client-transport-security:" {
              sub(/^ +/, ""); sub(/\r$/, ""); print }' "$p/root$config" 2>/dev/null |
              grep -E "^($names):")
            printf '%s\n' "$settings" | sed -n 's/^./config=&/p'
          fi
          links=$(ls -l "$p/fd" 2>/dev/null)
          db=$(printf '%s\n' "$links" | sed -n 's/.* -> \(.*\)\/member\/snap\/db$/\1/p' | head -n 1)
          wal=$(printf '%s\n' "$links" | sed -n 's/.* -> \(.*\)\/[^/]*\.wal$/\1/p' | head -n 1)
          say open_data_dir "$db"; say open_wal_dir "$wal"
          agrees data_dir "$(given data-dir)" "$db"
          agrees wal_dir "$(given wal-dir)" "$wal"
          if [ -n "$db" ]; then
            dir=$(on_host "$db"); say data_dir "$dir"
            if [ -n "$said_data_dir" ] && [ "$dir" -ef "$said_data_dir" ]; then say is_data_dir yes; fi
          fi
          if [ -n "$wal" ]; then say wal_dir "$(on_host "$wal")"; fi
          for pair in ca:trusted-ca-file cert:cert-file key:key-file; do
            file=$(given "${pair#*:}")
            if [ -n "$file" ]; then say "file_${pair%%:*}" "$(on_host "$(absolute "$file")")"; fi
          done
          # A supervisor of containers is not the unit that runs etcd.
          unit=$(sed -n 's/.*\/\([^/]*\.service\)\(\/.*\)\{0,1\}$/\1/p' "$p/cgroup" 2>/dev/null | head -n 1)
          case $unit in
          user@*|docker.service|containerd.service|crio.service|kubelet.service|podman.service|ssh*.service) unit=;;
          esac
          say unit "$unit"
          serves=
          for inode in $inodes; do
            case $links in *"socket:[$inode]"*) serves=yes;; esac
          done
          say serves "$serves"
        }
        inodes=
        if [ -n "$listeners" ]; then
          inodes=$(awk -v pattern="$listeners" '$4 == "0A" && $2 ~ pattern { print $10 }' \
            /proc/net/tcp /proc/net/tcp6 2>/dev/null)
        fi
        for comm in /proc/[0-9]*/comm; do
          read -r name 2>/dev/null <"$comm" || continue
          case $name in etcdctl*|etcdutl*) continue;; etcd*) ;; *) continue;; esac
          p=${comm%/comm}
          # A script may be called etcd-something; a zombie has no words.
          [ -n "$(tr -d '\0' <"$p/cmdline" 2>/dev/null)" ] || continue
          case $(readlink "$p/exe" 2>/dev/null) in */sh|*/dash|*/bash|*/busybox) continue;; esac
          tell_process
        done 2>/dev/null
        :
        """#
}

extension EtcdNode {
    /// Reads the variables of the running etcd off the node.
    ///
    /// - Parameter said: what the inventory says of the host.
    /// - Returns: what was found; nothing where no etcd runs.
    /// - Throws: ``EtcdProbeError`` when the node cannot be asked, or it is not clear what runs there.
    package func discover(said: [String: String]) async throws(EtcdProbeError) -> EtcdDiscovery {
        let result: CommandResult
        do {
            result = try await host.run(DiscoveryScript.command(said: said))
        } catch {
            throw EtcdProbeError(error)
        }
        let report = NodeReport(result)
        if let refusal = report.refusal { throw EtcdProbeError(.tool, host: name, refusal.message) }
        do {
            return try EtcdDiscovery.read(report, said: said)
        } catch {
            throw EtcdProbeError(.unparsable, host: name, error.message, remedy: error.remedy)
        }
    }
}

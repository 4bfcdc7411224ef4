// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// The ports of a member: those that clients speak to, and those that other members speak to.
package struct ClientPorts: Sendable, Hashable {
    package struct Problem: Error, Sendable, Hashable {
        package var message: String
        package var remedy: String
    }

    /// In rising order.
    package var clients: [Int]
    package var peers: [Int]

    /// Takes the ports together.
    ///
    /// - Parameters:
    ///   - given: the ports of the playbook; where there are any, they are all that is closed.
    ///   - endpoint: the client URL as seen on the node.
    ///   - member: what the cluster's list says of the member; `nil` where it cannot be asked.
    /// - Throws: ``Problem`` when no port is known, or one is a peer port too.
    package init(given: [Int]?, endpoint: String, member: ListedMember?) throws(Problem) {
        let advertised = (member?.clientURLs ?? []) + [endpoint]
        clients = Set(given ?? advertised.compactMap(Self.port)).sorted()
        peers = Set((member?.peerURLs ?? []).compactMap(Self.port)).sorted()
        guard !clients.isEmpty else {
            throw Problem(message: "no client port is known: \(endpoint) has none", remedy: "name them: ports: [2379]")
        }
        let shared = clients.filter(peers.contains)
        guard shared.isEmpty else {
            throw Problem(
                message: "port \(shared[0]) is for clients and for members alike; without it the cluster falls apart",
                remedy: "stop the writers with `command` instead, or give the members a peer port of their own"
            )
        }
    }

    /// The port of a URL; etcd's own are written with one.
    package static func port(of url: String) -> Int? {
        guard let parts = URLComponents(string: url) else { return nil }
        return parts.port ?? (parts.scheme == "https" ? 443 : parts.scheme == "http" ? 80 : nil)
    }

    // MARK: - Scripts

    /// Shell behind `PORTS` and `PEERS` that adds what `find` adds, and refuses what would cut members or SSH off.
    static func refuseScript(_ find: String) -> String {
        sockets + find + refusal
    }

    /// Shell functions that read the node's listening sockets from `/proc`.
    ///
    /// `listening` prints inode, port and address of each, with `any` and `loopback` for those; `holder` the id and name of a
    /// process that listens on a port. IPv4 addresses are in the kernel's form, backwards.
    private static let sockets = #"""
        listening() {
          cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '
            function hex(s,  i, n) {
              for (i = 1; i <= length(s); i++) n = n * 16 + index("0123456789ABCDEF", substr(s, i, 1)) - 1
              return n
            }
            $4 == "0A" {
              split($2, at, ":"); a = at[1]
              if (a ~ /^0+$/) where = "any"
              else if (a ~ /^......7F$/ || a ~ /^0+FFFF0000......7F$/ || a ~ /^0+1000000$/) where = "loopback"
              else if (length(a) == 8)
                where = hex(substr(a, 7, 2)) "." hex(substr(a, 5, 2)) "." hex(substr(a, 3, 2)) "." hex(substr(a, 1, 2))
              else where = "ipv6"
              print $10, hex(at[2]), where
            }'
        }
        sockets=$(listening)
        holder() {
          inodes=$(printf '%s\n' "$sockets" | awk -v port="$1" '$2 == port { print $1 }')
          [ -n "$inodes" ] || return
          for process in /proc/[0-9]*; do
            links=$(ls -l "$process/fd" 2>/dev/null)
            for inode in $inodes; do
              case $links in *"socket:[$inode]"*) printf '%s %s\n' "${process#/proc/}" "$(cat "$process/comm")"; return ;; esac
            done
          done
        }

        """#

    /// Adds the ports on which the same etcd serves clients without advertising them, as the old 4001.
    ///
    /// A socket that only the loopback reaches is left alone. Of any other one that is not known it is asked what it is:
    /// the client API answers `/v2/stats/self`, and metrics alone answer `/metrics` and no `/version`.
    static func findScript(_ settings: EtcdSettings) -> String {
        let curl = ShellQuoting.line(["curl", "-q", "-k", "-s", "-o", "/dev/null", "-w", "%{http_code}"])
        let words = ShellQuoting.line(settings.curlWords(seconds: 5))
        let scheme = settings.endpoint.hasPrefix("https") ? "https" : "http"
        return """
            code() { for scheme in \(scheme) http; do
              answer=$(\(curl) \(words) "$scheme://$1$2" 2>/dev/null)
              [ "$answer" = 000 ] || break
            done; printf '%s' "$answer"; }
            serving=$(holder \(port(of: settings.endpoint) ?? 0))

            """ + find
    }

    private static let find = #"""
        found=
        case ${serving#* } in etcd*)
          links=$(ls -l "/proc/${serving%% *}/fd" 2>/dev/null)
          found=$(printf '%s\n' "$sockets" | while read -r inode port at; do
            case $links in *"socket:[$inode]"*) ;; *) continue ;; esac
            case " $PORTS $PEERS " in *" $port "*) continue ;; esac
            [ "$at" != loopback ] || continue
            case $at in any) to=127.0.0.1 ;; ipv6) to= ;; *) to=$at ;; esac
            if [ -n "$to" ] && [ "$(code "$to:$port" /v2/stats/self)" = 200 ]; then echo "client $port"
            elif [ -n "$to" ] && [ "$(code "$to:$port" /metrics)" = 200 ] && [ "$(code "$to:$port" /version)" = 404 ]; then :
            else echo "unknown $port"; fi
          done | sort -u) ;;
        esac
        unknown=$(printf '%s\n' "$found" | sed -n 's/^unknown //p' | head -n 1)
        [ -z "$unknown" ] || fail "etcd listens on port $unknown, too, and it is neither advertised nor answers as a client port" \
          "say which ports clients use: ports: [$(printf '%s' "$PORTS" | sed 's/ /, /g')]"
        PORTS=$(printf '%s\n' $PORTS $(printf '%s\n' "$found" | sed -n 's/^client //p') | sort -nu | tr '\n' ' ' | sed 's/ $//')

        """#

    private static let refusal = #"""
        for port in $PORTS; do
          case " $PEERS " in *" $port "*)
            fail "port $port is a peer port: without it the members cannot speak to each other" "leave it out of \`ports\`" ;;
          esac
          who=$(holder "$port")
          case ${who#* } in sshd*|dropbear*)
            fail "port $port is that of SSH: the node would be cut off" "leave it out of \`ports\`" ;;
          esac
          case ${SSH_CONNECTION-} in *" $port") fail "port $port is that of this very connection" "leave it out of \`ports\`" ;; esac
        done

        """#
}

// SPDX-License-Identifier: Apache-2.0

import Remote

/// A change of the member list, asked for on the node of a member that serves.
package enum MembershipChange: Sendable, Hashable {
    /// A learner, since 3.4, has no vote until it is promoted, so that it costs no quorum.
    case add(name: String, peerURLs: [String], isLearner: Bool)
    case promote(EtcdID)
    case remove(EtcdID)

    private var words: [String] {
        switch self {
        case .add(let name, let peerURLs, let isLearner):
            ["member", "add", name, "--peer-urls=" + peerURLs.joined(separator: ",")] + (isLearner ? ["--learner"] : [])
        case .promote(let id): ["member", "promote", "\(id)"]
        case .remove(let id): ["member", "remove", "\(id)"]
        }
    }

    /// The command; `code` is etcdctl's exit code, and `said` its last words.
    package func command(_ settings: EtcdSettings, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "etcdctl " + words.prefix(2).joined(separator: " "),
            script: NodeReport.prelude + EtcdSettings.scriptPrelude
                + "answer=$(\(settings.commandLine(words: words, seconds: 10)) 2>&1); say code \"$?\"\n"
                + "say said \"$(printf '%s' \"$answer\" | tail -n 1 | cut -c 1-300)\"\n",
            effect: .mutating,
            timeout: timeout
        )
    }
}

extension MembershipChange {
    /// What came of it.
    package enum Outcome: Sendable, Hashable {
        case done
        /// The cluster may do it later, or may have done it without an answer.
        case notYet(String)

        /// Reads the report of ``MembershipChange/command(_:timeout:)``; nil when asking again is of no use.
        package init?(code: String?, said: String) {
            if code == "0" {
                self = .done
            } else if code == "124" {
                self = .notYet("etcdctl did not end in time")
            } else if Self.passing.contains(where: said.contains) {
                self = .notYet(said)
            } else {
                return nil
            }
        }

        /// What passes, in the words of etcd's api/v3rpc/rpctypes/error.go and of gRPC.
        ///
        /// A cluster is called unhealthy until all voters have been connected for five seconds (`HealthInterval` in
        /// etcdserver/server.go, as `--strict-reconfig-check` asks), so also when the member before has just joined.
        private static let passing = [
            "unhealthy cluster", "not enough started members", "in sync with leader",
            "request timed out", "leader changed", "no leader", "context deadline exceeded",
            // What says that the change was made, by a try whose answer was lost, and is not in this member's list yet.
            "Peer URLs already exists", "member not found", "can only promote a learner member",
        ]
    }
}

/// Makes a member write a raft snapshot, by entries that change nothing.
///
/// A member that is added later gets v3 data only by a snapshot, never by the log (etcd #8804).
package struct SnapshotScript: Sendable {
    package var settings: EtcdSettings
    package var within: Duration

    package init(settings: EtcdSettings, within: Duration) {
        self.settings = settings
        self.within = within
    }

    /// Asks for a key through raft until the newest snapshot is at an index or above it; `snapshot` is its name, and `index`
    /// the index in decimal.
    package func command(from index: UInt64) -> RemoteCommand {
        let read = ShellQuoting.line(
            ["curl", "-q"] + settings.curlWords(seconds: 5)
                + ["-o", "/dev/null", settings.baseURL + "/v2/keys/?quorum=true"]
        )
        return RemoteCommand(
            "wait for a snapshot of etcd",
            script: NodeReport.prelude
                + NodeReport.assignments([
                    "DATA": settings.dataDir, "INDEX": String(index), "LIMIT": String(within.components.seconds),
                ]) + "ask() { \(read) 2>/dev/null; }\n" + Self.body,
            effect: .mutating,
            timeout: within + .seconds(15)
        )
    }

    private static let body = #"""
        data=$(physical "$DATA") || fail "$DATA is not a directory on this node"
        end=$(($(date +%s) + LIMIT)); reached=0; newest=
        while :; do
          newest=$(find "$data/member/snap" -maxdepth 1 -name '*.snap' -printf '%f\n' | sort | tail -n 1)
          hex=${newest%.snap}; hex=${hex#*-}; reached=$((0x${hex:-0}))
          if [ "$reached" -ge "$INDEX" ]; then break; fi
          [ "$(date +%s)" -lt "$end" ] || fail "no snapshot at index $INDEX or above was written within $LIMIT s; the newest is ${newest:-none}" \
            "see the log of etcd"
          ask; sleep 0.1 2>/dev/null || sleep 1
        done
        say snapshot "$newest"; say index "$reached"
        """#
}

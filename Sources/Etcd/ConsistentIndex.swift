// SPDX-License-Identifier: Apache-2.0

import Remote

/// The raft index up to which a stopped member's db is taken to hold everything.
///
/// `etcdctl migrate` sets it to the last entry in the member's WAL, also where that was never committed. An entry that
/// the cluster puts at such an index later is not applied to this member's v3 store.
package enum ConsistentIndex {
    /// `last_index DB`: the highest of all values that any page of a db has; 0 where there is none.
    static let shellFunction = #"""
        last_index() {
          highest=0
          for offset in $(grep -aob consistent_index "$1" | cut -d : -f 1); do
            value=$(od -An -tx1 -j $((offset + 16)) -N 8 "$1" | tr -d ' \n')
            case "$value" in 0000*) if [ $((0x$value)) -gt "$highest" ]; then highest=$((0x$value)); fi ;; esac
          done
          echo "$highest"
        }

        """#

    /// A command that answers `index`, and refuses while anybody has files of the member open.
    package static func command(dataDir: String, timeout: Duration) -> RemoteCommand {
        RemoteCommand(
            "read the index of the db of \(dataDir)",
            script: NodeReport.prelude + NodeReport.assignments(["DATA": dataDir]) + ColdBackup.shellFunctions
                + shellFunction + #"""
                    data=$(physical "$DATA") || fail "$DATA is not a directory on this node"
                    refuse_in_use "$data"
                    db=$data/member/snap/db
                    if [ -e "$db" ]; then say index "$(last_index "$db")"; else say index 0; fi
                    """#,
            effect: .readOnly,
            timeout: timeout
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet

/// The directory on a node in which pawl keeps what must outlive its connections: jobs, the lock, the run's marker.
///
///     lock        who may change this node                    docs/design/lock.md
///     token       the highest token that a lock here ever had
///     run         the run's replica and where it stands       docs/design/journal.md
///     turns       which of its commands have come           docs/design/journal.md
///     service/    what pawl holds down, and how it was found       docs/architecture.md
///     uploads/    which run put which file where              docs/reference/actions.md#upload
///     freeze/     who closed the client ports, and until when     docs/design/freeze.md
///     jobs/ID/    one directory for each detached command     docs/design/jobs.md
package struct NodeState: Sendable, Hashable {
    /// The inventory variable that moves it.
    package static let variable = "pawl_state_dir"

    /// The absolute path; `nil` for the default of whoever runs the script: `/var/lib/pawl` for root, and
    /// `${XDG_STATE_HOME:-$HOME/.local/state}/pawl` for anybody else.
    package let directory: String?

    /// - Parameter directory: the path; an empty one is none.
    package init(directory: String? = nil) { self.directory = directory?.isEmpty == true ? nil : directory }

    /// The directory that the variables of a host name.
    package init(variables: [String: Value]) { self.init(directory: variables[Self.variable]?.asString) }

    /// Shell that sets `state`.
    ///
    /// It needs nothing and changes nothing. Who runs it is asked once in a shell (`node_user`), however many parts of a
    /// script need the directory, and not where the directory is named.
    package var path: String {
        if let directory { return "state=\(ShellQuoting.quote(directory))\n" }
        return Self.user + """
            if [ "$node_user" = 0 ]; then state=/var/lib/pawl; else state=${XDG_STATE_HOME:-$HOME/.local/state}/pawl; fi

            """
    }

    /// Shell that sets `node_user`, the effective user id of who runs it.
    ///
    /// Where the kernel tells, without a program: `id` costs a millisecond (proc(5), `Uid` of `status`).
    package static let user = """
        if [ -z "${node_user-}" ]; then
          { while read -r node_word node_more node_user node_more && [ "$node_word" != Uid: ]; do :; done
          } 2>/dev/null </proc/self/status
          [ -n "$node_user" ] || node_user=$(id -u)
        fi

        """

    /// Shell that sets `state`, and defines `make_state`, which creates the directory (0700) and prints why it cannot
    /// be trusted, if so: a link, or somebody else's.
    ///
    /// It changes nothing until `make_state` is called.
    package var shell: String {
        path + """
            make_state() {
              if [ ! -d "$state" ]; then (umask 077; mkdir -p -m 700 -- "$state") 2>/dev/null; fi
              if [ -d "$state" ] && [ ! -L "$state" ] && [ -O "$state" ] && [ -w "$state" ]; then return 0; fi
              echo "$state is not a directory that $(id -un) owns and may write to"
              return 1
            }

            """
    }
}

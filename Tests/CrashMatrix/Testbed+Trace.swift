// SPDX-License-Identifier: Apache-2.0

import RealNodes

extension Testbed {
    /// An etcdctl on every node that leaves a trace.
    ///
    /// The trace is what is in the database that each `migrate` finds: it must be what was there before the first. The
    /// first call after `stop-next` was written stops as soon as the time in `stop-after` has passed: an etcdctl that
    /// hangs in the middle of its work. Where it has ended by then, it is the next one's turn.
    static let trace = Scripts(
        seeded: #"""
            mv /usr/bin/etcdctl /usr/bin/etcdctl.original
            cat >/usr/bin/etcdctl <<'SCRIPT'
            #!/bin/sh
            found() { ETCDCTL_API=3 /usr/bin/etcdctl.original snapshot status "$1" -w json | jq -c '[.revision, .totalKey]'; }
            case "$*" in
            *--help*) ;;
            found*) found "$2"; exit ;;
            migrate*)
                for word; do
                    case "$word" in --data-dir=*) found "${word#*=}/member/snap/db" >>/var/lib/matrix/migrations ;; esac
                done ;;
            esac
            if rm /var/lib/matrix/stop-next 2>/dev/null; then
                (sleep "$(cat /var/lib/matrix/stop-after)"
                if kill -STOP $$; then echo $$ >/var/lib/matrix/stopped; else : >/var/lib/matrix/stop-next; fi) \
                    </dev/null >/dev/null 2>&1 &
            fi
            exec /usr/bin/etcdctl.original "$@"
            SCRIPT
            chmod 755 /usr/bin/etcdctl
            etcdctl found /var/lib/matrix/seed/member/snap/db >/var/lib/matrix/untouched
            """#,
        reset: """
            rm -rf /var/lib/matrix/migrations /var/lib/matrix/stop*
            : >/var/lib/matrix/migrations && chmod 666 /var/lib/matrix/migrations
            """
    )
}

// SPDX-License-Identifier: Apache-2.0

import Remote

/// Waits on a node until its member serves again: one remote command with the loop inside, so that waiting costs no
/// connection and no shell per try.
package struct HealthyScript: Sendable {
    package var settings: EtcdSettings
    package var within: Duration
    /// The applied raft index that must be reached.
    package var raftIndex: UInt64

    package init(settings: EtcdSettings, within: Duration, raftIndex: UInt64 = 0) {
        self.settings = settings
        self.within = within
        self.raftIndex = raftIndex
    }

    /// What the loop ended with.
    package struct Outcome: Sendable, Hashable {
        /// Twice in a row, and the same process both times, the member was healthy and had reached the index.
        package var isSettled: Bool
        package var tries: Int
        /// The last answer.
        package var health: MemberHealth
    }

    /// - Throws: when the member does not answer in an understood way by the end of the time.
    package func run(on node: EtcdNode) async throws(EtcdProbeError) -> Outcome {
        var probe = ProbeScript(settings)
        probe.loop(MemberHealth.requests, seconds: Int(within.components.seconds), raftIndex: raftIndex)
        let answer = try await probe.run(
            on: node,
            label: "wait until etcd is healthy",
            timeout: within + .seconds(30)
        )
        let verdict = try answer.part("settled")
        return Outcome(
            isSettled: verdict.code == .exit(0),
            tries: Int(verdict.text.split(separator: " ").last?.prefix { $0.isNumber } ?? "") ?? 0,
            health: try MemberHealth(answer)
        )
    }
}

extension ProbeScript {
    /// Repeats the requests until they are answered well twice in a row by one process, or the time is over; then
    /// prints the last answers, and `settled` with 0 or 1.
    ///
    /// A process that dies and is started again between two answers is told by its start time.
    fileprivate mutating func loop(_ requests: [EtcdRequest], seconds: Int, raftIndex: UInt64) {
        var inner = self
        inner.replaceScript(with: "")
        inner.ask(requests, seconds: 3)
        let metrics = ShellQuoting.line(
            ["curl", "-q"] + settings.curlWords(seconds: 3) + [settings.baseURL + "/metrics"]
        )
        append(
            """
            look() {
            \(inner.script)}
            number() { printf '%s\\n' "$seen" | sed -n "s/.*\\"$1\\": *\\"\\{0,1\\}\\([0-9]*\\).*/\\1/p" | tail -n 1; }
            end=$(($(date +%s) + \(seconds))) tries=0 before=none settled=1
            while :; do
            tries=$((tries + 1))
            seen=$(look)
            case $seen in
            *'"health":"true"'*|*'"health": "true"'*|*'"health":true'*)
            index=$(number raftAppliedIndex)
            [ -n "$index" ] || index=$(number raftIndex)
            started=$(\(metrics) 2>/dev/null | sed -n 's/^process_start_time_seconds //p')
            if [ "${index:-0}" -lt \(raftIndex) ]; then before=none
            elif [ "$before" = "at $started" ]; then settled=0; break
            else before="at $started"; fi;;
            *) before=none;;
            esac
            [ "$(date +%s)" -lt "$end" ] || break
            sleep 0.02 2>/dev/null || sleep 1
            done
            printf '%s\\n' "$seen"
            echo "tries $tries"

            """
        )
        ask("settled", "(exit $settled)")
    }
}

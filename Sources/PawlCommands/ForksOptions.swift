// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine

/// How many hosts are worked on at a time: `--forks`.
struct ForksOptions: ParsableArguments {
    @Option(name: [.customShort("f"), .long], help: "How many hosts are worked on at a time.")
    var forks = FanOut.defaultWidth

    mutating func validate() throws {
        guard (1...10_000).contains(forks) else { throw ValidationError("--forks is from 1 to 10000") }
    }

    /// As many as were asked for, or as there may be files open for, which is said.
    func fanOut(over hosts: Int) -> FanOut {
        let wanted = min(forks, max(1, hosts))
        let room = OpenFiles.makeRoom(forHosts: wanted)
        if room < wanted {
            ExitReason.say(
                "warning: this process may have too few files open for \(wanted) hosts at a time, so that \(room) are "
                    + "worked on at a time; raise the limit (ulimit -Hn) for more"
            )
        }
        return FanOut(width: room)
    }
}

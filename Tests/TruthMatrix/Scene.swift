// SPDX-License-Identifier: Apache-2.0

/// One row of the table: something that is known to go wrong when etcd's keys are migrated.
struct Trap: Sendable {
    /// As the traps are known: `T1`, `1.5/hidden`.
    var id: String
    /// What is set, in a line.
    var text: String

    /// Whether a word of `--rows` means it: its name, or the group before the slash.
    func isMeant(by word: String) -> Bool { id == word || id.hasPrefix("\(word)/") }
}

/// What was seen of one trap.
struct Finding: Sendable {
    /// What became of a cluster under the bare procedure.
    var bare = ""
    /// What pawl did, and what its members hold now.
    var pawl = ""
    /// What is not as it must be; none when the row is right.
    var failures: [String] = []

    mutating func expect(_ isTrue: Bool, _ what: @autoclosure () -> String) {
        if !isTrue { failures.append(what()) }
    }
}

/// Traps that are set together, and what is done with them.
struct Scene: Sendable {
    var traps: [Trap]
    /// One finding for each trap, in their order.
    var play: @Sendable (Site) async throws -> [Finding]

    init(_ traps: [Trap], play: @escaping @Sendable (Site) async throws -> [Finding]) {
        (self.traps, self.play) = (traps, play)
    }

    /// A scene of one trap.
    init(_ id: String, _ text: String, play: @escaping @Sendable (Site) async throws -> Finding) {
        traps = [Trap(id: id, text: text)]
        self.play = { [try await play($0)] }
    }

    static let all = writes + expiry + raft + services + places + binaries + kinds + again
}

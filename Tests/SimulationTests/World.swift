// SPDX-License-Identifier: Apache-2.0

import Rollout
import TestSupport

/// A cluster, the ways to it, and everybody who has to do with it, under a clock of its own.
///
/// There are no threads and there is no waiting: what will happen is a queue of moments, and the next one is taken. All
/// chance comes from one generator, so the same seed always tells the same story. What the world holds is the truth;
/// controllers know only what reaches them.
final class World {
    private struct Moment {
        var time: Int
        var number: Int
        var happen: () -> Void
    }

    let scenario: Scenario
    let weakness: Weakness?
    var odds: Odds
    var random: SplitMix64
    let nodes: [Node]
    let homes: [Home]
    var raft: Raft
    /// Processes that are there.
    var controllers: [Controller] = []
    var books = Books()
    /// Runs, processes and exits so far.
    var runs = 0
    var processes = 0
    var lastExit: Controller.Exit?
    /// Faults have stopped.
    var isMended = false

    /// In milliseconds since the beginning of the story.
    private(set) var now = 0
    private var queue: [Moment] = []
    private var counter = 0
    private(set) var violations: [String] = []
    let isTracing: Bool
    private(set) var trace: [String] = []

    init(_ scenario: Scenario, odds: Odds, seed: UInt64, weakness: Weakness? = nil, isTracing: Bool = false) {
        (self.scenario, self.odds, self.weakness, self.isTracing) = (scenario, odds, weakness, isTracing)
        random = SplitMix64(seed: seed)
        nodes = scenario.names.enumerated().map { index, name in
            Node(index: index, name: name, isMember: index < scenario.members)
        }
        homes = [Home(index: 0), Home(index: 1)]
        raft = Raft(keys: (1...5).map { V2Key(name: $0, modified: $0 + 2, expires: nil) })
        raft.leader = scenario.members - 1
        for _ in 0..<10 { raft.append(.publish) }
        for node in nodes where node.isMember {
            node.member.wal.last = raft.last
            node.member.cache.consistentIndex = raft.last
        }
    }

    var members: ArraySlice<Node> { nodes[..<scenario.members] }
    var majority: Int { scenario.members / 2 + 1 }
    var runningMembers: Int { members.reduce(0) { $0 + ($1.member.isRunning ? 1 : 0) } }
    var hasQuorum: Bool { runningMembers >= majority }

    // MARK: - Time

    func after(_ milliseconds: Int, _ happen: @escaping () -> Void) {
        counter += 1
        queue.append(Moment(time: now + milliseconds, number: counter, happen: happen))
    }

    /// Lets what is due happen until the time has come, nothing is left, or a promise was broken.
    func run(until end: Int, while isGoing: () -> Bool = { true }) {
        while violations.isEmpty, isGoing(), let next = earliest(), queue[next].time <= end {
            let moment = queue[next]
            queue.swapAt(next, queue.count - 1)
            queue.removeLast()
            now = max(now, moment.time)
            moment.happen()
            checkAlways()
        }
        if violations.isEmpty, isGoing() { now = max(now, end) }
    }

    private func earliest() -> Int? {
        guard var best = queue.indices.first else { return nil }
        var index = 1
        while index < queue.count {
            let (one, other) = (queue[index], queue[best])
            if one.time < other.time || (one.time == other.time && one.number < other.number) { best = index }
            index += 1
        }
        return best
    }

    /// Nothing more is going to happen.
    func forget() { queue = [] }

    // MARK: - Chance

    func chance(_ perMille: Int) -> Bool { perMille > 0 && random.chance(perMille: perMille) }
    func pick(_ limit: Int) -> Int { random.below(limit) }
    func between(_ low: Int, _ high: Int) -> Int { low + random.below(high - low + 1) }

    // MARK: - The record of the story

    /// One line: when, who, what, and where.
    func note(_ who: @autoclosure () -> String, _ what: @autoclosure () -> String) {
        guard isTracing else { return }
        let seconds = "\(now / 1000).\(String(now % 1000 + 1000).dropFirst())"
        let column = who()
        let padding = String(repeating: " ", count: max(0, 8 - column.count))
        trace.append(
            String(repeating: " ", count: max(0, 9 - seconds.count)) + "\(seconds)  \(column)\(padding)  \(what())"
        )
    }

    func violate(_ text: String) {
        violations.append(text)
        note("!!", text)
    }
}

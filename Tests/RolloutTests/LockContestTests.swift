// SPDX-License-Identifier: Apache-2.0

import Rollout
import Testing

/// Two controllers in every order of events, or in very many.
@Suite struct LockContestTests {
    @Test(arguments: 1...3)
    func `of two that reach every node exactly one wins, in every order of events`(nodes: Int) {
        let ends = everyEnd(of: LockContest(nodes: nodes))
        #expect(!ends.isEmpty)
        for end in ends { expectOneWinner(end) }
        // Both do win, or the search was not a search.
        #expect(Set(ends.flatMap(\.winners)) == [0, 1])
    }

    @Test(arguments: 1...5)
    func `of two that reach every node exactly one wins, in many orders of events`(nodes: Int) {
        var winners: Set<Int> = []
        for seed in 0..<1_000 {
            let end = randomEnd(of: LockContest(nodes: nodes), seed: UInt64(seed))
            expectOneWinner(end)
            winners.formUnion(end.winners)
        }
        #expect(winners == [0, 1])
    }

    @Test(arguments: 1...3)
    func `two never win, whichever nodes each cannot reach`(nodes: Int) {
        for left in subsets(of: nodes) {
            for right in subsets(of: nodes) {
                for end in everyEnd(of: LockContest(nodes: nodes, cutOff: [left, right])) { expectNoTwo(end) }
            }
        }
    }

    @Test(arguments: 3...5)
    func `two never win, whatever answers are lost`(nodes: Int) {
        for seed in 0..<2_000 {
            var random = SplitMix64(seed: UInt64(seed))
            let cutOff = (0..<2).map { _ in Set((0..<nodes).filter { _ in Int.random(in: 0..<5, using: &random) == 0 })
            }
            var contest = LockContest(nodes: nodes, cutOff: cutOff)
            contest.losesAnswers = true
            expectNoTwo(randomEnd(of: contest, seed: UInt64(seed)))
        }
    }

    // MARK: - What must hold

    private func expectOneWinner(_ end: LockContest) {
        expectNoTwo(end)
        guard end.winners.count == 1, let winner = end.winners.first else {
            Issue.record("no one won: \(end)")
            return
        }
        #expect(end.share(of: winner) == end.nodes.count)
        #expect(end.share(of: 1 - winner) == 0)
    }

    private func expectNoTwo(_ end: LockContest) {
        if end.winners.count > 1 { Issue.record("both won: \(end)") }
        for winner in end.winners where end.share(of: winner) * 2 <= end.nodes.count {
            Issue.record("won without a majority: \(end)")
        }
    }

    // MARK: - Searching

    /// The states in which nothing can happen any more, over all orders of events.
    private func everyEnd(of start: LockContest) -> Set<LockContest> {
        var ends: Set<LockContest> = []
        var seen: Set<LockContest> = [start]
        var open = [start]
        while let state = open.popLast() {
            let moves = state.moves
            if moves.isEmpty { ends.insert(state) }
            for move in moves {
                var next = state
                next.make(move)
                if seen.insert(next).inserted { open.append(next) }
            }
        }
        return ends
    }

    private func randomEnd(of start: LockContest, seed: UInt64) -> LockContest {
        var random = SplitMix64(seed: seed)
        var state = start
        while true {
            let moves = state.moves
            guard !moves.isEmpty else { return state }
            state.make(moves[random.below(moves.count)])
        }
    }

    private func subsets(of count: Int) -> [Set<Int>] {
        (0..<(1 << count)).map { bits in Set((0..<count).filter { bits & (1 << $0) != 0 }) }
    }
}

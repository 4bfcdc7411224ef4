// SPDX-License-Identifier: Apache-2.0

import Rollout
import Testing

@Suite struct LockClaimTests {
    private func sights(_ names: String..., token: Int = 0) -> [String: LockClaim.Sight] {
        // The ranks are against the order of the names.
        let ranks = ["z", "y", "x", "w", "v"]
        return Dictionary(
            uniqueKeysWithValues: zip(names, ranks).map { ($0, LockClaim.Sight(rank: $1, token: token)) }
        )
    }

    @Test func `the node of the lowest rank is asked by itself, then the others side by side`() {
        var claim = LockClaim(run: "r", nonce: "n", nodes: ["a", "b", "c"], sights: sights("a", "b", "c"))
        #expect(claim.begin() == [.take(node: "c", replacing: nil)])
        #expect(
            claim.handle(.taken, from: "c") == [.take(node: "b", replacing: nil), .take(node: "a", replacing: nil)]
        )
        #expect(claim.handle(.taken, from: "a") == [])
        #expect(claim.handle(.taken, from: "b") == [.finish(.held(nodes: ["a", "b", "c"]))])
    }

    @Test func `the token is above every token that a node showed`() {
        var seen = sights("a", "b", "c", token: 4)
        seen["b"]?.token = 9
        seen["c"]?.holder = .init(run: "old", token: 11, nonce: "o")
        #expect(
            LockClaim(run: "r", nonce: "n", nodes: ["a", "b", "c"], sights: seen).claim
                == .init(run: "r", token: 12, nonce: "n")
        )
    }

    @Test func `a node that is held by another ends the claim before a second node is touched`() {
        var claim = LockClaim(run: "r", nonce: "n", nodes: ["a", "b", "c"], sights: sights("a", "b", "c"))
        _ = claim.begin()
        let other = LockClaim.Holder(run: "other", token: 1, nonce: "o")
        #expect(claim.handle(.held(other), from: "c") == [.finish(.lost(node: "c", to: other))])
    }

    @Test func `what was written is given back, also where nobody saw whether it was`() {
        var claim = LockClaim(run: "r", nonce: "n", nodes: ["a", "b", "c"], sights: sights("a", "b", "c"))
        _ = claim.begin()
        _ = claim.handle(.inDoubt, from: "c")
        _ = claim.handle(.taken, from: "b")
        let other = LockClaim.Holder(run: "other", token: 1, nonce: "o")
        #expect(claim.handle(.held(other), from: "a") == [.giveBack(node: "b"), .giveBack(node: "c")])
        #expect(claim.handle(.givenBack, from: "b") == [])
        #expect(claim.handle(.inDoubt, from: "c") == [.finish(.lost(node: "a", to: other))])
    }

    @Test func `an answer that comes while the others are given back is given back too`() {
        var claim = LockClaim(run: "r", nonce: "n", nodes: ["a", "b", "c"], sights: sights("a", "b", "c"))
        _ = claim.begin()
        _ = claim.handle(.taken, from: "c")
        let other = LockClaim.Holder(run: "other", token: 1, nonce: "o")
        #expect(claim.handle(.held(other), from: "a") == [.giveBack(node: "c")])
        #expect(claim.handle(.taken, from: "b") == [.giveBack(node: "b")])
        #expect(claim.handle(.givenBack, from: "b") == [])
        #expect(claim.handle(.givenBack, from: "c") == [.finish(.lost(node: "a", to: other))])
    }

    @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
    func `less than a majority is no lock`(nodes: Int, needed: Int) {
        let names = Array(["a", "b", "c", "d", "e"].prefix(nodes))
        let ranks = Dictionary(uniqueKeysWithValues: names.map { ($0, LockClaim.Sight(rank: $0, token: 0)) })
        var few = LockClaim(
            run: "r",
            nonce: "n",
            nodes: Set(names),
            sights: ranks.filter { names.prefix(needed - 1).contains($0.key) }
        )
        #expect(few.begin() == [.finish(.tooFew(reached: needed - 1, needed: needed))])
        var enough = LockClaim(
            run: "r",
            nonce: "n",
            nodes: Set(names),
            sights: ranks.filter { names.prefix(needed).contains($0.key) }
        )
        var directives = enough.begin()
        var last: LockClaim.Directive?
        while let next = directives.popLast() {
            last = next
            if case .take(let node, _) = next { directives += enough.handle(.taken, from: node) }
        }
        #expect(last == .finish(.held(nodes: Set(names.prefix(needed)))))
    }

    @Test func `a node that has moved on makes the claim stale`() {
        var claim = LockClaim(run: "r", nonce: "n", nodes: ["a"], sights: sights("a"))
        _ = claim.begin()
        #expect(claim.handle(.behind, from: "a") == [.finish(.stale)])
    }

    @Test func `only the holder that was seen is replaced`() {
        var seen = sights("a")
        seen["a"]?.holder = .init(run: "dead", token: 3, nonce: "d")
        var claim = LockClaim(run: "r", nonce: "n", nodes: ["a"], sights: seen)
        #expect(claim.begin() == [.take(node: "a", replacing: .init(run: "dead", token: 3, nonce: "d"))])
    }
}

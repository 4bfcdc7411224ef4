// SPDX-License-Identifier: Apache-2.0

/// Decides how the lock of a cluster is taken, from what its nodes answer.
///
/// A pure value, so that two of them can be driven through every interleaving.
///
/// A node grants its lock to one controller at a time, so two majorities are never held at once. Nodes are asked in an
/// order on which all controllers agree, the first by itself: of two that begin in the same instant, one is refused by
/// the first node and stops before it has touched another. Whoever is refused anywhere gives back what it has.
package struct LockClaim: Hashable, Sendable {
    /// A lock as this decision needs it: no two of a node have the same token.
    package struct Holder: Hashable, Sendable {
        package var run: String
        package var token: Int
        /// Of one taking, because two may take it for one run, from one look.
        package var nonce: String

        package init(run: String, token: Int, nonce: String) {
            self.run = run
            self.token = token
            self.nonce = nonce
        }
    }

    /// What a node showed before anything was written.
    package struct Sight: Hashable, Sendable {
        /// Puts the nodes into order.
        package var rank: String
        /// The highest token that a lock on the node ever had.
        package var token: Int
        package var holder: Holder?

        package init(rank: String, token: Int, holder: Holder? = nil) {
            self.rank = rank
            self.token = token
            self.holder = holder
        }
    }

    package enum Directive: Hashable, Sendable {
        /// Take the lock of a node where it is free, or is this holder's.
        case take(node: String, replacing: Holder?)
        /// Take back what was written, or may have been.
        case giveBack(node: String)
        case finish(Result)
    }

    package enum Answer: Hashable, Sendable {
        case taken
        /// Another's; nothing was written.
        case held(Holder)
        /// The node had a lock with such a token before; nothing was written.
        case behind
        /// Known not to have been begun.
        case notReached
        /// Nobody saw the end; it may have been written.
        case inDoubt
        case givenBack
    }

    package enum Result: Hashable, Sendable {
        /// Held on a majority; on these nodes.
        case held(nodes: Set<String>)
        /// Another holds a node; nothing of ours is left, but where a node did not answer.
        case lost(node: String, to: Holder)
        /// Too few nodes answered.
        case tooFew(reached: Int, needed: Int)
        /// The nodes have moved on since they were looked at: look again, and begin anew.
        case stale
    }

    private enum Phase: Hashable, Sendable {
        case first, others, givingBack(Result), finished
    }

    /// The lock that is being taken.
    package let claim: Holder
    /// How many nodes are more than half of them, whether they answered or not.
    package let needed: Int
    private let sights: [String: Sight]
    private var waiting: [String]
    private var asked: Set<String> = []
    private var taken: Set<String> = []
    private var doubtful: Set<String> = []
    private var returning: Set<String> = []
    private var phase = Phase.first

    /// - Parameters:
    ///   - run: whom the lock is for.
    ///   - nonce: of this taking, and of no other.
    ///   - nodes: all nodes of the cluster, also those that did not answer.
    ///   - sights: what the others showed, and what hosts beside the cluster did, whose tokens count too.
    package init(run: String, nonce: String, nodes: Set<String>, sights: [String: Sight]) {
        needed = nodes.count / 2 + 1
        self.sights = sights.filter { nodes.contains($0.key) }
        let highest = sights.values.map { max($0.token, $0.holder?.token ?? 0) }.max() ?? 0
        claim = Holder(run: run, token: highest + 1, nonce: nonce)
        waiting = self.sights.sorted { ($0.value.rank, $0.key) < ($1.value.rank, $1.key) }.map(\.key)
    }

    /// The first directives.
    ///
    /// A holder that was seen is replaced: whoever makes a claim has decided that it may be.
    package mutating func begin() -> [Directive] {
        guard waiting.count >= needed else { return end(.tooFew(reached: waiting.count, needed: needed)) }
        return takeNext()
    }

    package mutating func handle(_ answer: Answer, from node: String) -> [Directive] {
        guard asked.remove(node) != nil else { return [] }
        switch (phase, answer) {
        case (.givingBack, .taken) where !returning.contains(node),
            (.givingBack, .inDoubt) where !returning.contains(node):
            // The answer to a question that was on its way when another node said no.
            return [giveBack(node)]
        case (.givingBack(let result), _): return asked.isEmpty ? end(result) : []
        case (.finished, _): return []
        case (_, .taken): taken.insert(node)
        case (_, .inDoubt): doubtful.insert(node)
        case (_, .held(let holder)): return giveBack(then: .lost(node: node, to: holder))
        case (_, .behind): return giveBack(then: .stale)
        case (_, .notReached), (_, .givenBack): break
        }
        return phase == .first ? afterFirst() : afterOthers()
    }

    /// The first node that answers decides between two; until one has, the next is asked.
    private mutating func afterFirst() -> [Directive] {
        guard !taken.isEmpty else { return waiting.isEmpty ? decide() : takeNext() }
        phase = .others
        let rest = waiting
        waiting = []
        return rest.isEmpty ? decide() : rest.map { take($0) }
    }

    private mutating func afterOthers() -> [Directive] {
        asked.isEmpty ? decide() : []
    }

    private mutating func takeNext() -> [Directive] {
        guard !waiting.isEmpty else { return decide() }
        return [take(waiting.removeFirst())]
    }

    private mutating func take(_ node: String) -> Directive {
        asked.insert(node)
        return .take(node: node, replacing: sights[node]?.holder)
    }

    private mutating func decide() -> [Directive] {
        guard taken.count >= needed else {
            return giveBack(then: .tooFew(reached: taken.count, needed: needed))
        }
        return end(.held(nodes: taken))
    }

    /// What is still on its way is waited for: it may be granted yet.
    private mutating func giveBack(then result: Result) -> [Directive] {
        phase = .givingBack(result)
        waiting = []
        let directives = taken.union(doubtful).sorted().map { giveBack($0) }
        return asked.isEmpty ? end(result) : directives
    }

    private mutating func giveBack(_ node: String) -> Directive {
        asked.insert(node)
        returning.insert(node)
        return .giveBack(node: node)
    }

    private mutating func end(_ result: Result) -> [Directive] {
        phase = .finished
        return [.finish(result)]
    }
}

// SPDX-License-Identifier: Apache-2.0

import Rollout

/// Two controllers that take the lock of the same nodes for the same run, as two that resume it: each move is one node doing one thing for one of them.
struct LockContest: Hashable {
    struct Node: Hashable {
        var token = 0
        var lock: LockClaim.Holder?
    }

    struct Contender: Hashable {
        var nonce: String
        /// Nodes that it cannot reach.
        var cutOff: Set<Int>
        /// What it saw; it looks at all nodes before it begins, one at a time.
        var sights: [String: LockClaim.Sight] = [:]
        var looked: Set<Int> = []
        var claim: LockClaim?
        var pending: Set<LockClaim.Directive> = []
        var result: LockClaim.Result?
        /// How often it looked again because the nodes had moved on.
        var rounds = 0
    }

    enum Move: Hashable {
        case look(contender: Int, node: Int)
        case answer(contender: Int, LockClaim.Directive)
        /// The node does it, and the answer is lost.
        case loseAnswer(contender: Int, LockClaim.Directive)
    }

    var nodes: [Node]
    var contenders: [Contender]
    /// Whether an answer may be lost.
    var losesAnswers = false

    init(nodes count: Int, cutOff: [Set<Int>] = [[], []]) {
        nodes = Array(repeating: Node(), count: count)
        contenders = ["a", "b"].enumerated().map { Contender(nonce: $1, cutOff: cutOff[$0]) }
    }

    /// What may happen next; nothing when both have ended.
    var moves: [Move] {
        var moves: [Move] = []
        for (index, contender) in contenders.enumerated() where contender.result == nil {
            if contender.claim == nil {
                for node in nodes.indices where !contender.looked.contains(node) {
                    moves.append(.look(contender: index, node: node))
                }
            }
            // They come from a set; in order, so that a seed gives the same end again.
            for directive in contender.pending.sorted(by: { $0.text < $1.text }) {
                moves.append(.answer(contender: index, directive))
                if losesAnswers { moves.append(.loseAnswer(contender: index, directive)) }
            }
        }
        return moves
    }

    mutating func make(_ move: Move) {
        switch move {
        case .look(let contender, let node): look(contender, at: node)
        case .answer(let contender, let directive): perform(directive, for: contender, isLost: false)
        case .loseAnswer(let contender, let directive): perform(directive, for: contender, isLost: true)
        }
    }

    private mutating func look(_ index: Int, at node: Int) {
        contenders[index].looked.insert(node)
        if !contenders[index].cutOff.contains(node) {
            contenders[index].sights["\(node)"] = .init(
                rank: "\(node)",
                token: nodes[node].token,
                holder: nodes[node].lock
            )
        }
        guard contenders[index].looked.count == nodes.count else { return }
        // Whoever sees a holder does not begin.
        if let (name, sight) = contenders[index].sights.first(where: { $0.value.holder != nil }),
            let holder = sight.holder
        {
            contenders[index].result = .lost(node: name, to: holder)
            return
        }
        var claim = LockClaim(
            run: "r",
            nonce: contenders[index].nonce,
            nodes: Set(nodes.indices.map(String.init)),
            sights: contenders[index].sights
        )
        let directives = claim.begin()
        contenders[index].claim = claim
        take(directives, for: index)
    }

    private mutating func take(_ directives: [LockClaim.Directive], for index: Int) {
        for directive in directives {
            guard case .finish(let result) = directive else {
                contenders[index].pending.insert(directive)
                continue
            }
            if result == .stale, contenders[index].rounds < 2 {
                contenders[index].rounds += 1
                contenders[index].claim = nil
                contenders[index].looked = []
                contenders[index].sights = [:]
            } else {
                contenders[index].result = result
            }
        }
    }

    private mutating func perform(_ directive: LockClaim.Directive, for index: Int, isLost: Bool) {
        contenders[index].pending.remove(directive)
        guard var claim = contenders[index].claim else { return }
        let (name, answer) = answer(directive, claim.claim, for: index)
        let directives = claim.handle(isLost && answer != .notReached ? .inDoubt : answer, from: name)
        contenders[index].claim = claim
        take(directives, for: index)
    }

    /// What the node does, as its scripts do it.
    private mutating func answer(
        _ directive: LockClaim.Directive,
        _ claim: LockClaim.Holder,
        for index: Int
    ) -> (String, LockClaim.Answer) {
        switch directive {
        case .take(let name, let replaced):
            guard let node = Int(name), !contenders[index].cutOff.contains(node) else { return (name, .notReached) }
            if nodes[node].lock == claim { return (name, .taken) }
            if let holder = nodes[node].lock, holder != replaced { return (name, .held(holder)) }
            if nodes[node].token >= claim.token { return (name, .behind) }
            nodes[node] = Node(token: claim.token, lock: claim)
            return (name, .taken)
        case .giveBack(let name):
            guard let node = Int(name), !contenders[index].cutOff.contains(node) else { return (name, .notReached) }
            if nodes[node].lock == claim { nodes[node].lock = nil }
            return (name, .givenBack)
        case .finish: return ("", .notReached)
        }
    }

    /// The contenders that believe that they hold the lock.
    var winners: [Int] {
        contenders.indices.filter { index in
            if case .held = contenders[index].result { true } else { false }
        }
    }

    /// How many nodes have a contender's lock.
    func share(of index: Int) -> Int {
        nodes.count { $0.lock?.nonce == contenders[index].nonce }
    }
}

extension LockClaim.Directive {
    /// A word for it that puts directives into order.
    fileprivate var text: String {
        switch self {
        case .take(let node, _): "take \(node)"
        case .giveBack(let node): "give back \(node)"
        case .finish: "finish"
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

// The way to the nodes, as sshd and libssh2 behave.
extension World {
    /// What a controller gets to know of a mutating command.
    enum Answer {
        case report(Report)
        /// A guard refused; nothing was begun.
        case fenced(String)
        /// There was no connection; nothing was begun.
        case unreachable(String)
        /// It was sent, and its end was not seen.
        case lost(String)
    }

    private enum Fault {
        case noConnection, cutBefore, cutWhile, cutAfter, hang
    }

    /// One command and its one answer.
    private final class Call {
        let controller: Controller
        let then: (Answer) -> Void
        var isAnswered = false

        init(_ controller: Controller, _ then: @escaping (Answer) -> Void) {
            (self.controller, self.then) = (controller, then)
        }

        func answer(_ answer: Answer) {
            guard !isAnswered else { return }
            isAnswered = true
            if controller.isAlive { then(answer) }
        }
    }

    private var fault: Fault? {
        guard chance(odds.transport) else { return nil }
        return [.noConnection, .cutBefore, .cutWhile, .cutAfter, .hang][pick(5)]
    }

    /// Sends a mutating command; the answer comes once, at the deadline at the latest.
    func send(_ order: Order, from controller: Controller, then: @escaping (Answer) -> Void) {
        let call = Call(controller, then)
        var fault = fault
        if let fault { note("ssh", "\(order.label) to \(nodes[order.host].name): \(fault)") }
        // A job outlives its connection, and a new one attaches to it.
        let isAttaching = order.isJob && (fault == .cutWhile || fault == .cutAfter) && chance(700)
        if isAttaching { fault = nil }
        after(between(5, 40)) { [unowned self] in
            let node = self.nodes[order.host]
            if fault == .noConnection || !node.isReachable(from: controller.home.index, at: self.now) {
                return self.after(1000) { call.answer(.unreachable("no connection to \(node.name)")) }
            }
            if fault == .cutBefore { return self.after(20_000) { call.answer(.lost("the connection was cut")) } }
            self.deliver(order, call, fault, isAttaching)
        }
        after(order.isJob ? 120_000 : 60_000) { call.answer(.lost("no end was seen in time")) }
    }

    private func deliver(_ order: Order, _ call: Call, _ fault: Fault?, _ isAttaching: Bool) {
        // A disk that stands still is what a command is given up for, too.
        let isStuck = fault == .cutWhile && chance(300)
        begin(order, isStuck: isStuck) { [unowned self] why in
            self.note("script", "\(order.label) is refused on \(self.nodes[order.host].name): \(why)")
            self.after(self.between(5, 40)) { self.tell(.fenced(why), to: call, order, fault) }
        } onEnd: { [unowned self] report in
            let delay = isAttaching ? self.between(1000, 3000) : self.between(5, 40)
            self.after(delay) { self.tell(report.map { .report($0) }, to: call, order, fault) }
        }
        if fault == .cutWhile { after(between(10, 2500)) { [unowned self] in self.lose(call, order) } }
    }

    /// What the node said comes only over a way that is still there.
    private func tell(_ answer: Answer?, to call: Call, _ order: Order, _ fault: Fault?) {
        if fault == .hang { return }
        let isReachable = nodes[order.host].isReachable(from: call.controller.home.index, at: now)
        guard let answer, fault == nil, isReachable else { return lose(call, order) }
        call.answer(answer)
    }

    /// libssh2 says exit code 0 for a channel that was cut; the trailer with the true one is missing.
    private func lose(_ call: Call, _ order: Order) {
        call.answer(weakness == .trustLostStatus ? .report(.done) : .lost("the connection was cut"))
    }

    /// A command that only looks.
    ///
    /// It is told what the node shows at a moment, or nothing.
    func look<Seen>(
        at node: Node,
        from controller: Controller,
        _ read: @escaping (Node) -> Seen,
        then: @escaping (Seen?) -> Void
    ) {
        let isCut = chance(odds.transport)
        after(between(5, 40)) { [unowned self] in
            guard !isCut, node.isReachable(from: controller.home.index, at: self.now) else {
                return self.after(self.between(100, 1000)) { if controller.isAlive { then(nil) } }
            }
            let seen = read(node)
            self.after(self.between(5, 40)) { if controller.isAlive { then(seen) } }
        }
    }

    /// A small change that a guard of its own protects: the files of the lock, the end of a replica.
    func change(
        _ node: Node,
        from controller: Controller,
        _ write: @escaping (Node) -> Bool,
        then: @escaping (Bool?) -> Void
    ) {
        let isCut = chance(odds.transport)
        let isDone = chance(500)
        after(between(5, 60)) { [unowned self] in
            guard node.isReachable(from: controller.home.index, at: self.now), !isCut || isDone else {
                return self.after(1000) { if controller.isAlive { then(nil) } }
            }
            let isWritten = !node.isFull && write(node)
            self.after(self.between(5, 40)) { if controller.isAlive { then(isCut ? nil : isWritten) } }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// Works on many hosts, a bounded number at a time.
package struct FanOut: Sendable {
    /// How many hosts are worked on at a time where nobody says it.
    ///
    /// Nearly all of a command's time is the node's own (the start of a shell takes 75 ms), so that 64 at a time bring a
    /// thousand hosts through in seconds, and a hundred of them that do not answer within 10 s cost no more than 20. It
    /// bounds what the sessions take on this machine, and how many logins a directory service behind the nodes sees at once.
    package static let defaultWidth = 64

    package var width: Int

    package init(width: Int = defaultWidth) { self.width = width }

    private struct Ended<Answer: Sendable>: Sendable {
        var index: Int
        var answer: Answer
    }

    /// Does the work for each item, beginning in their order; when the task is cancelled no further one is begun.
    ///
    /// - Parameters:
    ///   - items: what there is to do.
    ///   - work: does one; sees the cancellation.
    ///   - onEnd: gets each answer as it comes in, with the item's place.
    package func forEach<Item: Sendable, Answer: Sendable>(
        of items: [Item],
        _ work: @escaping @Sendable (Item) async -> Answer,
        onEnd: (Int, Answer) async -> Void
    ) async {
        await withTaskGroup(of: Ended<Answer>.self) { group in
            var next = 0
            func begin() {
                guard next < items.count, !Task.isCancelled else { return }
                let index = next
                next += 1
                group.addTask { Ended(index: index, answer: await work(items[index])) }
            }
            for _ in 0..<max(1, width) { begin() }
            while let ended = await group.next() {
                await onEnd(ended.index, ended.answer)
                begin()
            }
        }
    }

    /// Does the work for each item.
    ///
    /// - Parameters:
    ///   - items: what there is to do.
    ///   - work: does one.
    /// - Returns: the answers in the order of the items; `nil` for those that were not begun before a cancellation.
    package func answers<Item: Sendable, Answer: Sendable>(
        of items: [Item],
        _ work: @escaping @Sendable (Item) async -> Answer
    ) async -> [Answer?] {
        var answers = [Answer?](repeating: nil, count: items.count)
        await forEach(of: items, work) { answers[$0] = $1 }
        return answers
    }
}

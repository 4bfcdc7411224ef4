// SPDX-License-Identifier: Apache-2.0

import Rollout

/// A state directory on a controller's machine: the journals in it, and the lock that lets one controller at it.
final class Home {
    let index: Int
    var journals: [Journal] = []
    var isFull = false

    init(index: Int) { self.index = index }

    var name: String { index == 0 ? "A" : "B" }
    func journal(of run: Int) -> Journal? { journals.last { $0.run == run } }
    var open: Journal? { journals.last { $0.isOpen } }
}

/// What one state directory holds of a run.
final class Journal {
    let run: Int
    var records: [HistoryEntry] = []
    var facts = Facts()
    /// The newest token under which this journal was written.
    var token = 0
    var verdict: Verdict?
    /// Neither done, nor refused, nor rolled back.
    var isOpen = true
    /// Its rollback has begun: there is no way forward any more.
    var isRollingBack = false

    init(run: Int) { self.run = run }
}

// SPDX-License-Identifier: Apache-2.0

/// What a run has written in its journal, from some place on.
package struct RunLog: Sendable, Hashable {
    /// In the order in which they were appended.
    package var records: [StepRecord]
    /// In the order in which they were recorded, earlier values too.
    package var facts: [FactRecord]
    /// What comes before it.
    package var start: ReplicaExtent

    package init(
        records: [StepRecord],
        facts: [FactRecord],
        from start: ReplicaExtent = ReplicaExtent(records: 0, facts: 0)
    ) {
        self.records = records
        self.facts = facts
        self.start = start
    }

    /// How much of the run there is with it.
    package var end: ReplicaExtent {
        ReplicaExtent(records: start.records + records.count, facts: start.facts + facts.count)
    }
}

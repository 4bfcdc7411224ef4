// SPDX-License-Identifier: Apache-2.0

// A journal only grows, so that of two copies of it one is the beginning of the other. Where that is not so, a run was
// gone on with in two places.
extension RunReplica {
    /// Whether this is what a journal was at some moment, now or before.
    package func isBeginning(ofRecords records: [StepRecord], facts: [FactRecord]) -> Bool {
        Self.renumbered(records).starts(with: self.records)
            && facts.map { $0.normalized() }.starts(with: self.facts)
    }

    /// Whether this and a journal are one run's at two moments, whichever is the later.
    package func isCompatible(withRecords records: [StepRecord], facts: [FactRecord]) -> Bool {
        let others = Self.renumbered(records)
        let otherFacts = facts.map { $0.normalized() }
        return (others.starts(with: self.records) || self.records.starts(with: others))
            && (otherFacts.starts(with: self.facts) || self.facts.starts(with: otherFacts))
    }

    /// What replicas of one run say together: the longest of their records and facts, and the newest entry.
    ///
    /// Two that were written at the same time on two nodes may each have something that the other has not.
    ///
    /// - Returns: `nil` when they contradict each other, or are not of one run and plan.
    package static func joined(_ replicas: [RunReplica]) -> RunReplica? {
        guard var joined = replicas.max(by: isEarlier) else { return nil }
        joined.records = replicas.map(\.records).max { $0.count < $1.count } ?? []
        joined.facts = replicas.map(\.facts).max { $0.count < $1.count } ?? []
        let isOne = replicas.allSatisfy { replica in
            replica.run.id == joined.run.id && replica.run.planDigest == joined.run.planDigest
                && replica.isBeginning(ofRecords: joined.records, facts: joined.facts)
        }
        return isOne ? joined : nil
    }

    private static func isEarlier(_ left: RunReplica, _ right: RunReplica) -> Bool {
        (left.extent.sequence, left.entry.at) < (right.extent.sequence, right.entry.at)
    }
}

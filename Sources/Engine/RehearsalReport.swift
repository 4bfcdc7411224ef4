// SPDX-License-Identifier: Apache-2.0

import Etcd

/// What the rehearsal of a cluster came to.
package struct RehearsalReport: Sendable, Codable {
    /// One member's part.
    package struct Member: Sendable, Codable {
        package var host: String
        package var version: String?
        /// The program that its keys went through.
        package var transformer: String?
        package var outcome: RehearsalOutcome
        package var prediction: OutagePrediction?
    }

    /// The raft index that the copies were cut behind, so that all hold the same entries.
    package var index: UInt64
    /// How many entries the cluster logged since; more than a few only where somebody writes.
    package var entriesMeanwhile: UInt64
    package var members: [Member]
    /// Whether the migrated copies are equal; `nil` where that was not to be proven.
    package var isEqual: Bool?
    /// Why a run would be refused, or lose keys, with the host in front where it is one's.
    package var problems: [String]

    /// As many entries as the rehearsal itself, and others that ask for the members' health, may have logged.
    static let ownEntries: UInt64 = 50

    /// Somebody writes to the cluster.
    package var writersAreActive: Bool { entriesMeanwhile > Self.ownEntries }

    /// Whether a run would migrate everything.
    package var isClean: Bool { problems.isEmpty }

    package init(index: UInt64, entriesMeanwhile: UInt64, members: [Member]) {
        self.index = index
        self.entriesMeanwhile = entriesMeanwhile
        self.members = members
        for index in members.indices {
            self.members[index].outcome.judgeKeys(writersAreActive: entriesMeanwhile > Self.ownEntries)
        }
        let results = Set(members.map { "\($0.outcome.revision) \($0.outcome.keys) \($0.outcome.hash)" })
        let wereMigrated = members.allSatisfy { !$0.outcome.hash.isEmpty }
        // Equal is equal, also where a copy could not be cut; different is proof only where all were.
        if wereMigrated, results.count == 1 {
            isEqual = true
        } else {
            isEqual = wereMigrated && members.allSatisfy(\.outcome.isComparable) ? false : nil
        }
        problems = self.members.flatMap { member in member.outcome.problems.map { "\(member.host): \($0)" } }
        switch isEqual {
        case true?: break
        case false?:
            let lines = members.map {
                "\($0.host): \($0.outcome.keys) keys, revision \($0.outcome.revision), \($0.outcome.hash)"
            }
            problems.append(unequal + lines.joined(separator: "; "))
        case nil where wereMigrated:
            problems.append(
                "whether the members are equal is not known: somebody writes, and a copy could not be cut at one raft "
                    + "index (that needs grep -P on the node)"
            )
        case nil: problems.append("whether the members are equal is not known: not all of them could be rehearsed on")
        }
    }

    /// What results that differ say, up to the results.
    private var unequal: String {
        let digests = Set(members.map(\.outcome.v2Digest))
        guard members.contains(where: { $0.transformer != nil }) else {
            return "the members do not hold the same keys at raft index \(index): "
        }
        guard digests.count == 1, digests != [nil] else {
            return
                "the members do not hold the same keys at raft index \(index), or the transformer does not make the same "
                + "of the same keys: "
        }
        return
            "the transformer does not make the same of the same keys, so that a run would halt behind its second member: "
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What is known of the v2 keys before a migration: the baseline that it is measured against.
package struct MigrationBaseline: Sendable, Hashable {
    /// The highest modified index of all keys.
    package var maxIndex: Int?
    /// How many keys there are, without directories and hidden ones.
    package var keys: Int?
    /// How many of them expire.
    package var ttlKeys: Int?
    /// Keys that expire are left out.
    package var noTTL: Bool
    /// Every key goes through this program, so that how many keys there are afterwards is for it to say.
    package var transformer: String?
    /// How many records it gave, once that is known.
    var records: Int?
    /// Keys that expire may have done so since.
    package var mayHaveExpired = false

    /// How few keys there may be, where the baseline knows.
    var fewest: Int? { keys.map { $0 - (noTTL || mayHaveExpired ? ttlKeys ?? 0 : 0) } }

    package init(
        maxIndex: Int? = nil,
        keys: Int? = nil,
        ttlKeys: Int? = nil,
        noTTL: Bool = false,
        transformer: String? = nil
    ) {
        self.transformer = transformer
        self.maxIndex = maxIndex
        self.keys = keys
        self.ttlKeys = ttlKeys
        self.noTTL = noTTL
    }
}

/// What `etcdctl snapshot status -w json` says of a db.
package struct MigrationDatabaseStatus: Sendable, Hashable, Codable {
    package var revision: Int
    /// Keys of all buckets, etcd's own included.
    package var totalKey: Int

    package init(revision: Int, totalKey: Int) {
        self.revision = revision
        self.totalKey = totalKey
    }

    init?(_ json: String?) {
        guard let json, let status = try? JSONDecoder().decode(Self.self, from: Data(json.utf8)) else { return nil }
        self = status
    }
}

/// The judgement of a finished migration, before the member is started.
///
/// Exit code 0 is no proof, and neither is the closing line: with a full disk etcdctl prints the line and exits with 1,
/// with a lost transformer race it exits with 0 and has lost keys. So the exit code, the line, a silent standard error
/// and the content of the db must all agree.
package struct MigrationOutcome: Sendable, Hashable {
    package var revision: Int
    package var keys: Int
    package var seconds: Double
    /// An earlier attempt was taken back first.
    package var wasRestored: Bool
    /// The db was prepared on a copy, and only renamed into place.
    package var wasPrepared: Bool
    /// What could not be compared because the baseline is not known.
    package var remark: String?
    /// What went through a transformer; `nil` without one.
    package var transformed: MigrationBaseline.Transformed?

    /// Why a migration does not count.
    package struct Failure: Error, Sendable, Hashable {
        package var message: String
    }

    /// Judges what ``Migration/runCommand(_:)`` answered.
    package static func judge(
        _ report: NodeReport,
        baseline: MigrationBaseline
    ) throws(Failure) -> MigrationOutcome {
        let complaints = report.all("stderr")
        if let waiting = complaints.first(where: { $0.contains("waiting for etcd to close") }) {
            throw Failure(message: "etcd holds the db, so what etcdctl read is stale; it was killed: \(waiting)")
        }
        let isEmpty = report["last"] == "no v2 keys to migrate"
        let baseline = isEmpty ? baseline : try baseline.judgingTransformer(report)
        try judgeEnd(code: report["code"], last: report["last"], complaints: complaints)
        guard report["lock"] == "free", report["wal_same"] == "yes" else {
            throw Failure(message: "etcd was started while the migration ran")
        }
        guard report["snap_same"] == "yes" else {
            throw Failure(message: "etcdctl could not read a snapshot and set it aside as .broken")
        }
        if isEmpty, baseline.keys != 0, !baseline.mayHaveExpired || baseline.fewest != 0 {
            let known = baseline.keys.map { "\($0) keys are expected" } ?? "no baseline says that there are none"
            throw Failure(message: "etcdctl found no v2 keys, and \(known)")
        }
        if let owner = report["owner"], owner != report["owner_expected"] {
            throw Failure(message: "the db is owned as \(owner), not \(report["owner_expected"] ?? "")")
        }
        let gate = try judgeContent(
            before: MigrationDatabaseStatus(report["before"]),
            after: MigrationDatabaseStatus(report["after"]),
            hadIndex: report["index_before"] == "yes",
            isUntouched: isEmpty,
            baseline: baseline
        )
        var outcome = MigrationOutcome(
            revision: gate.revision,
            keys: gate.keys,
            seconds: (Double(report["milliseconds"] ?? "") ?? 0) / 1000,
            wasRestored: report["restored"] == "yes",
            wasPrepared: report["swapped"] == "yes",
            remark: report["unprepared"].map { "migrated in place, because \($0)" } ?? gate.remark
        )
        outcome.transformed = baseline.records.flatMap { _ in MigrationBaseline.Transformed(report) }
        return outcome
    }

    private static func judgeEnd(code: String?, last: String?, complaints: [String]) throws(Failure) {
        let detail = complaints.isEmpty ? "" : ": \(complaints.prefix(3).joined(separator: "; "))"
        switch code {
        case "0": break
        case "124": throw Failure(message: "etcdctl migrate did not end in time and was killed\(detail)")
        case "137", "143": throw Failure(message: "etcdctl migrate was killed\(detail)")
        case let code?: throw Failure(message: "etcdctl migrate ended with exit code \(code)\(detail)")
        case nil: throw Failure(message: "the end of etcdctl migrate was not told")
        }
        guard complaints.isEmpty else { throw Failure(message: "etcdctl migrate ended with 0 and complained\(detail)") }
        guard last == "finished transforming keys" || last == "no v2 keys to migrate" else {
            throw Failure(
                message: "etcdctl migrate ended with 0 and without its closing line; the last was '\(last ?? "")'"
            )
        }
    }

    /// Compares the db with the baseline: the revision, and by how many keys it grew.
    ///
    /// The db grows by one key for each v2 key, and by `consistent_index` where it had none. Measured with 3.4.23: a db
    /// that never saw a snapshot 3 → 10 with 6 keys, an absent db 0 → 7 with 6, a db with the index 4 → 12 with 8.
    package static func judgeContent(
        before: MigrationDatabaseStatus?,
        after: MigrationDatabaseStatus?,
        hadIndex: Bool,
        isUntouched: Bool = false,
        baseline: MigrationBaseline
    ) throws(Failure) -> (revision: Int, keys: Int, remark: String?) {
        guard let after else { throw Failure(message: "etcdctl cannot read the migrated db") }
        guard let before else { throw Failure(message: "etcdctl cannot read the db of the backup") }
        let keys = after.totalKey - before.totalKey - (hadIndex || isUntouched ? 0 : 1)
        if let records = baseline.records {
            guard keys == records else {
                throw Failure(
                    message: "the transformer gave \(records) records, and the db holds \(keys) new keys: records with "
                        + "the same mod_revision replace each other"
                )
            }
            return (after.revision, keys, nil)
        }
        let leavesOut = baseline.noTTL && baseline.ttlKeys != 0
        var remark: String?
        switch baseline.keys {
        case let expected? where leavesOut && baseline.ttlKeys == nil:
            guard (0...expected).contains(keys) else {
                throw Failure(message: "the db holds \(keys) new keys where at most \(expected) are expected")
            }
            remark = "how many keys expire is not known, so the number of keys was only bounded"
        case let expected?:
            let wanted = expected - (leavesOut ? baseline.ttlKeys ?? 0 : 0)
            let fewest = baseline.fewest ?? wanted
            guard (min(fewest, wanted)...wanted).contains(keys) else {
                let bound = fewest < wanted ? "\(fewest) to \(wanted)" : "\(wanted)"
                throw Failure(message: "the db holds \(keys) new keys where \(bound) are expected")
            }
            if keys < wanted { remark = "\(wanted - keys) keys have expired since the baseline" }
        case nil:
            guard keys > 0, after.revision > 0 else { throw Failure(message: "the db holds no migrated key") }
            remark = "no baseline was recorded, so only the presence of keys was checked"
        }
        guard let maxIndex = baseline.maxIndex, keys > 0 else { return (after.revision, keys, remark) }
        let isBound = leavesOut || remark != nil && baseline.mayHaveExpired
        let isRight = isBound ? (1...max(1, maxIndex)).contains(after.revision) : after.revision == maxIndex
        guard isRight else {
            throw Failure(
                message:
                    "the db is at revision \(after.revision) where \(isBound ? "at most " : "")\(maxIndex) is expected"
            )
        }
        return (after.revision, keys, remark)
    }
}

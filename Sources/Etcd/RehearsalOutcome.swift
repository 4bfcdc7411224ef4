// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What the rehearsal of one member came to.
package struct RehearsalOutcome: Sendable, Hashable, Codable {
    /// What a migration does not carry over as it is.
    package enum LossKind: String, Sendable, Hashable, Codable, CaseIterable {
        /// Keys whose name, or a directory's above them, begins with an underscore.
        case hidden
        /// Keys with a TTL of their own.
        case ttl
        /// Keys whose time is over and that etcd has not removed yet.
        case expired
        case ttlDirectory = "ttl_directory"
        case emptyDirectory = "empty_directory"
        /// Keys or values with bytes that are no UTF-8.
        case altered
        /// Users of v2.
        case user
        /// Keys of v2 that the migrated store does not have.
        case missing
    }

    /// Losses of one kind.
    package struct Loss: Sendable, Hashable, Codable {
        package var kind: LossKind
        package var count: Int
        /// The first ten.
        package var names: [String]
    }

    /// Sizes on the node, in KiB.
    package struct Sizes: Sendable, Hashable, Codable {
        package var wal = 0
        package var snapshots = 0
        /// All of the data directory and the WAL directory.
        package var data = 0
        package var migratedDatabase = 0
        /// What was kept free for the rehearsal.
        package var scratch = 0
        package var freeForBackup = 0
        /// Beside the data directory, where a preparation puts its copy.
        package var freeForCopy = 0
    }

    /// How long the parts took, in seconds.
    package struct Times: Sendable, Hashable, Codable {
        package var copy = 0.0
        /// Of what is not backed up ahead of the stop.
        package var backup = 0.0
        package var wholeBackup = 0.0
        package var migrate = 0.0
        /// From the start of etcd on the copy until it had replayed its WAL, or the processor time that it took of that where
        /// that is less; `nil` where it was not started.
        ///
        /// It reads files that were just written, so what it waits for are processors: a rehearsal gives way to everybody.
        package var start: Double?
    }

    /// Keys in the migrated store.
    package var keys = 0
    package var revision = 0
    /// The checksum of everything in the migrated db, from `etcdctl snapshot status`.
    package var hash = ""
    /// Keys of the migrated store that are not in v2 as they are there.
    package var added = 0
    /// What went through the transformer; `nil` without one.
    package var transformed: MigrationBaseline.Transformed?
    /// Of the created and modified indexes of all v2 keys, where a transformer makes others of them.
    package var v2Digest: String?
    /// Keys of v2 that did not go into the transformer, and were to.
    package var unread = 0
    /// The copy holds nothing behind the raft index that all copies are compared at.
    package var isComparable = false
    package var losses: [Loss] = []
    package var sizes = Sizes()
    package var times = Times()
    /// Why the migration would be refused, or lose keys.
    package var problems: [String] = []
    /// What a reader should know, and what would stop nothing.
    package var remarks: [String] = []

    package init() {}

    /// Reads what ``Rehearsal/command()`` answered.
    ///
    /// - Parameters:
    ///   - report: the answer.
    ///   - noTTL: whether keys with a TTL are to be left out.
    ///   - transformer: the program that keys are to go through, if any.
    ///   - hiddenKeys: what a run is told to do with hidden keys; `nil` where it is told nothing.
    package init(_ report: NodeReport, noTTL: Bool, transformer: String? = nil, hiddenKeys: String? = nil) {
        sizes = Self.sizes(report)
        times = Self.times(report)
        isComparable = report["cut"] != "unknown"
        losses = LossKind.allCases.compactMap { kind in
            guard let count = Self.number(report, kind.rawValue), count > 0 else { return nil }
            let names = report.all(kind.rawValue + "_name").map { decodeJSON(String.self, "\"\($0)\"".utf8) ?? $0 }
            return Loss(kind: kind, count: count, names: names)
        }
        do throws(MigrationOutcome.Failure) {
            let judged = try MigrationOutcome.judge(
                report,
                baseline: Self.baseline(report, noTTL: noTTL, transformer: transformer)
            )
            (keys, revision, transformed) = (judged.keys, judged.revision, judged.transformed)
            v2Digest = report["v2_digest"]
        } catch {
            problems.append(error.message)
            return
        }
        if let status = report["after"].flatMap({ try? JSONDecoder().decode(Status.self, from: Data($0.utf8)) }) {
            hash = String(status.hash, radix: 16)
        }
        judge(report, noTTL: noTTL, hiddenKeys)
    }

    private struct Status: Decodable {
        var hash: UInt32
    }

    /// The count of v2 keys is compared by ``judgeKeys(writersAreActive:)``.
    private static func baseline(_ report: NodeReport, noTTL: Bool, transformer: String?) -> MigrationBaseline {
        let isEmpty =
            number(report, "keys") == 0 || report["last"] == "no v2 keys to migrate" && report["end"] == nil
        return MigrationBaseline(keys: isEmpty ? 0 : nil, noTTL: noTTL, transformer: transformer)
    }

    private mutating func judge(_ report: NodeReport, noTTL: Bool, _ hiddenKeys: String?) {
        if let why = report["unstarted"] { problems.append("etcd does not start on the migrated copy: \(why)") }
        if let why = report["untried"] {
            problems.append("what is not migrated, and whether etcd starts on the result, is not known: \(why)")
        }
        if let transformed {
            // What it made need not be what v2 holds.
            losses.removeAll { $0.kind == .missing }
            judge(transformed, of: Self.number(report, "keys"), noTTL: noTTL)
        } else {
            added = Self.number(report, "added") ?? 0
        }
        for loss in losses { judge(loss, noTTL: noTTL, hiddenKeys) }
        if sizes.freeForBackup < sizes.data * 2 {
            problems.append(
                "no room for the backup: \(sizes.freeForBackup / 1024) MiB free, \(sizes.data * 2 / 1024 + 1) MiB needed"
            )
        }
        if let why = report["unfit"] {
            remarks.append("a run migrates this member after its stop, and not on a copy: \(why)")
        } else if sizes.freeForCopy < (sizes.wal + sizes.snapshots) * 2 {
            problems.append("no room beside the data directory for the copy that a run prepares")
        }
    }

    /// Compares what went into the transformer with the v2 store, as etcd has it that was started on the copy.
    private mutating func judge(_ transformed: MigrationBaseline.Transformed, of keys: Int?, noTTL: Bool) {
        guard let keys else { return }
        let leftOut = noTTL ? losses.first { $0.kind == .ttl }?.count ?? 0 : 0
        unread = keys - leftOut - transformed.keys
    }

    /// Judges whether v2 and the migrated store hold the same keys.
    ///
    /// Where somebody writes, etcd discards the last entries in front of the cut, of which its WAL does not say any more
    /// that they are committed, and `etcdctl migrate` takes them all. Then no key is named as lost.
    package mutating func judgeKeys(writersAreActive: Bool) {
        if unread != 0, !writersAreActive, let transformed {
            problems.append(
                "the transformer got \(transformed.keys) keys, and \(transformed.keys + unread) are to be migrated: "
                    + "it must read all of its input"
            )
        }
        let missing = losses.first { $0.kind == .missing }
        guard added > 0 || missing != nil else { return }
        if writersAreActive {
            remarks.append(
                "v2 and the migrated store were not compared in \(max(added, missing?.count ?? 0)) keys, which changed in "
                    + "the last entries in front of the cut"
            )
            return
        }
        if let missing { problems.append("\(missing.count) keys are not in the migrated store: \(Self.list(missing))") }
        if added > 0 { problems.append("\(added) keys are in the migrated store and not in v2 as they are there") }
    }

    private static func list(_ loss: Loss) -> String {
        let rest = loss.count - loss.names.count
        return loss.names.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }

    private mutating func judge(_ loss: Loss, noTTL: Bool, _ hiddenKeys: String?) {
        let names = Self.list(loss)
        switch loss.kind {
        case .hidden where hiddenKeys == "skip": remarks.append("\(loss.count) hidden keys are left out: \(names)")
        case .hidden where hiddenKeys == "copy":
            remarks.append("\(loss.count) hidden keys are written to v3 at the end of a run: \(names)")
        case .hidden: problems.append("\(loss.count) hidden keys are not migrated: \(names)")
        case .ttl where noTTL: remarks.append("\(loss.count) keys with a TTL are left out: \(names)")
        case .ttl: problems.append("\(loss.count) keys with a TTL become permanent: \(names)")
        case .expired where noTTL: break
        case .expired: problems.append("\(loss.count) keys whose time is over come back for good: \(names)")
        case .ttlDirectory: problems.append("keys in \(loss.count) directories with a TTL become permanent: \(names)")
        case .emptyDirectory: remarks.append("\(loss.count) empty directories are dropped: \(names)")
        case .altered: problems.append("\(loss.count) keys hold bytes that are no UTF-8 and are replaced: \(names)")
        case .user: problems.append("\(loss.count) users of v2 are not migrated: \(names)")
        case .missing: break
        }
    }

    private static func number(_ report: NodeReport, _ name: String) -> Int? { report[name].flatMap(Int.init) }

    private static func sizes(_ report: NodeReport) -> Sizes {
        func size(_ name: String) -> Int { number(report, name + "_kilobytes") ?? 0 }
        return Sizes(
            wal: size("wal"),
            snapshots: size("snap"),
            data: size("data"),
            migratedDatabase: size("db"),
            scratch: size("need"),
            freeForBackup: size("backup_free"),
            freeForCopy: size("prepare_free")
        )
    }

    private static func times(_ report: NodeReport) -> Times {
        func seconds(_ name: String) -> Double? { report[name].flatMap(Double.init).map { $0 / 1000 } }
        return Times(
            copy: seconds("copy_milliseconds") ?? 0,
            backup: seconds("backup_milliseconds") ?? 0,
            wholeBackup: seconds("whole_backup_milliseconds") ?? 0,
            migrate: seconds("milliseconds") ?? 0,
            start: seconds("start_milliseconds").map { min($0, seconds("start_processor_milliseconds") ?? $0) }
        )
    }
}

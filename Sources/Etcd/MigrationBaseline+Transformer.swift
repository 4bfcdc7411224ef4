// SPDX-License-Identifier: Apache-2.0

extension MigrationBaseline {
    /// What a migration told of its transformer.
    package struct Transformed: Sendable, Hashable, Codable {
        /// Keys that etcdctl gave it.
        package var keys: Int
        /// Records that it gave back.
        package var records: Int

        init?(_ report: NodeReport) {
            guard let keys = report["transformer_input"].flatMap(Int.init),
                let records = report["transformer_output"].flatMap(Int.init)
            else { return nil }
            self.keys = keys
            self.records = records
        }
    }

    /// The baseline for the db, where a transformer stood between; the same without one.
    ///
    /// - Parameter report: what the node told.
    /// - Returns: the baseline with the number of records that the transformer gave.
    /// - Throws: when it failed, or did not get every key.
    func judgingTransformer(_ report: NodeReport) throws(MigrationOutcome.Failure) -> MigrationBaseline {
        guard let transformer else { return self }
        if let why = report["transformer_failed"] {
            let said = report.all("transformer_said").joined(separator: "; ")
            throw MigrationOutcome.Failure(
                message: "the transformer \(transformer) failed: \(why)" + (said.isEmpty ? "" : ": \(said)")
            )
        }
        return try judging(Transformed(report))
    }

    /// The same, from what was noted of it.
    func judging(_ transformed: Transformed?) throws(MigrationOutcome.Failure) -> MigrationBaseline {
        guard let transformer else { return self }
        guard let transformed else {
            throw MigrationOutcome.Failure(message: "how many keys the transformer \(transformer) gave is not known")
        }
        var baseline = self
        baseline.records = transformed.records
        guard let keys else { return baseline }
        let most = noTTL ? keys - (ttlKeys ?? 0) : keys
        // Where nobody knows how many keys expire, they may be all.
        let fewest = noTTL && ttlKeys == nil ? 0 : min(most, mayHaveExpired ? self.fewest ?? most : most)
        guard (fewest...most).contains(transformed.keys) else {
            let bound = fewest < most ? "\(fewest) to \(most)" : "\(most)"
            throw MigrationOutcome.Failure(
                message:
                    "the transformer \(transformer) got \(transformed.keys) keys where \(bound) are expected: "
                    + "it must read all of its input"
            )
        }
        return baseline
    }
}

extension MigrationOutcome {
    /// How many keys were made, and of how many where a transformer stood between.
    package var madeKeys: String {
        "\(keys) keys" + (transformed.map { ", made of \($0.keys) by the transformer," } ?? "")
    }
}

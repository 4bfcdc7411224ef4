// SPDX-License-Identifier: Apache-2.0

import Actions
import Journal

/// The facts of a run, kept in the journal.
struct JournalledFacts: FactLedger {
    let store: any RunStore
    let run: String

    func fact(_ name: String) async throws(ActionFailure) -> String? {
        do {
            return try await store.fact(name, of: run)
        } catch {
            throw ActionFailure("the journal cannot be read: \(error)")
        }
    }

    func record(_ name: String, _ value: String) async throws(ActionFailure) {
        do {
            try await store.recordFact(name, value, of: run)
        } catch {
            throw ActionFailure("the journal cannot be written: \(error)", isInDoubt: true)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

// What every record must fulfil. Each store checks it before it writes and again after it has read, so that neither a
// slip in pawl nor a change by something else goes unnoticed.

extension RunRecord {
    /// The record as a store keeps it.
    func normalized() -> RunRecord {
        var record = self
        record.createdAt = JournalTime.rounded(createdAt)
        record.endedAt = endedAt.map(JournalTime.rounded)
        return record
    }

    /// What is wrong with it; `nil` for a good one.
    var problem: String? {
        if !Self.isID(id) { return "the run's id must be 1 to 64 letters, digits, '-', '_' or '.'" }
        if let problem = TextRules.problem(
            [playbookPath, limit ?? "", planDigest, controllerHost, version] + inventoryPaths
        ) {
            return problem
        }
        if planDigest.isEmpty { return "the plan's digest is empty" }
        if !TextRules.isJSON(planJSON) { return "the plan is not JSON" }
        if !TextRules.isJSONObject(extraVariablesJSON) { return "the extra variables are not a JSON object" }
        if state == .running, exitCode != nil || endedAt != nil { return "a running run has no end" }
        if state != .running, endedAt == nil { return "a run that is \(state.rawValue) has no time of its end" }
        if let exitCode, !(0...255).contains(exitCode) { return "\(exitCode) is no exit code" }
        if controllerPID < 1 { return "\(controllerPID) is no process" }
        if !JournalTime.isPlausible(createdAt) || !(endedAt.map(JournalTime.isPlausible) ?? true) {
            return "a time of the run is out of range"
        }
        return nil
    }

    static func isID(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count) && !text.hasPrefix("-")
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default:
                    "-_.".utf8.contains(byte)
                }
            }
    }
}

extension StepRecord {
    /// The record as a store keeps it: a message that is too long is cut rather than refused, because a run must not
    /// halt for the length of a complaint.
    func normalized() -> StepRecord {
        var record = self
        record.message = TextRules.cut(message)
        record.remedy = remedy.map(TextRules.cut)
        record.at = JournalTime.rounded(at)
        return record
    }

    /// What is wrong with it; `nil` for a good one.
    var problem: String? {
        if !RunRecord.isID(run) { return "the record names no run" }
        if step.isEmpty || host?.isEmpty == true { return "the record has an empty name" }
        if let problem = TextRules.problem([step, host ?? ""]) ?? TextRules.lengthProblem(values) { return problem }
        if attempt < 1 { return "attempts are counted from 1" }
        switch kind {
        case .intent, .undoIntent:
            if status != nil { return "an intent has no status" }
        case .outcome, .undoOutcome:
            if status == nil { return "an outcome has a status" }
        case .observation:
            break
        }
        return JournalTime.isPlausible(at) ? nil : "the record's time is out of range"
    }
}

extension FactRecord {
    func normalized() -> FactRecord {
        var record = self
        record.at = JournalTime.rounded(at)
        return record
    }

    var problem: String? {
        if !RunRecord.isID(run) { return "the fact names no run" }
        if name.isEmpty { return "the fact has no name" }
        return TextRules.problem([name, value])
            ?? (JournalTime.isPlausible(at) ? nil : "the fact's time is out of range")
    }
}

/// What text in the journal must fulfil.
enum TextRules {
    /// Far above any path, digest or fingerprint.
    static let mostBytes = 1 << 20
    static let longestMessage = 64 << 10

    static func problem(_ texts: [String]) -> String? {
        // SQLite takes text up to the first NUL, so one would cut the value without a word.
        if texts.contains(where: { $0.utf8.contains(0) }) { return "a value has a NUL byte" }
        return texts.contains { $0.utf8.count > mostBytes } ? "a value is longer than \(mostBytes) bytes" : nil
    }

    /// Values are kept as JSON, which has a form for NUL: a node may have said anything.
    static func lengthProblem(_ values: [String: String]) -> String? {
        let isTooLong = values.contains { $0.key.utf8.count + $0.value.utf8.count > mostBytes }
        return isTooLong ? "a value is longer than \(mostBytes) bytes" : nil
    }

    /// A message for people, within its limit and without NUL.
    static func cut(_ text: String) -> String {
        let text = text.utf8.contains(0) ? String(text.map { $0 == "\0" ? "\u{FFFD}" : $0 }) : text
        guard text.utf8.count > longestMessage else { return text }
        var kept = text.unicodeScalars.startIndex
        while text.utf8.distance(from: text.startIndex, to: kept) < longestMessage - 64 {
            kept = text.unicodeScalars.index(after: kept)
        }
        return text[..<kept] + "… (\(text.utf8.distance(from: kept, to: text.endIndex)) more bytes)"
    }

    static func isJSON(_ text: String) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8), options: .fragmentsAllowed)) != nil
    }

    static func isJSONObject(_ text: String) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) is [String: Any]
    }
}

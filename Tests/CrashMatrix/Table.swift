// SPDX-License-Identifier: Apache-2.0

import RealNodes

/// Step × fault, each cell one word.
struct MatrixTable {
    private var results: [(cell: Cell, result: CellResult)] = []

    mutating func add(_ cell: Cell, _ result: CellResult) {
        results.append((cell, result))
    }

    /// Lines with columns of equal width.
    var text: String {
        let faults = Fault.allCases.filter { fault in results.contains { $0.cell.fault == fault } }
        var lines: [String] = []
        for result in results where !lines.contains(result.cell.line) { lines.append(result.cell.line) }
        var table = [[""] + faults.map(\.rawValue)]
        for line in lines {
            table.append(
                [line]
                    + faults.map { fault in
                        let words = results.filter { $0.cell.line == line && $0.cell.fault == fault }.map(\.result.word)
                        return words.contains("DIFFERS")
                            ? "DIFFERS" : words.contains("same") ? "same" : words.first ?? ""
                    }
            )
        }
        return TextColumns.text(table)
    }

    /// The last line.
    var count: String {
        let same = results.filter { $0.result.word == "same" }.count
        let none = results.filter { $0.result.word == "–" }.count
        let struck = results.count - none
        return "\(same) of \(struck) cells: same final state"
            + (none > 0 ? " (\(none) more where the fault found nothing to break)" : "")
    }

    var isAllSame: Bool {
        let words = Set(results.map(\.result.word))
        return words.contains("same") && !words.contains("DIFFERS")
    }
}

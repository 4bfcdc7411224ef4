// SPDX-License-Identifier: Apache-2.0

/// What a terminal shows after some output: enough of ECMA-48 for the live view, and a record of all it does not know.
struct TerminalScreen {
    private let columns: Int
    private let rows: Int
    /// Everything from the first line that ever scrolled away to the last line of the screen.
    private var buffer: [[Character]] = [[]]
    private var row = 0
    private var column = 0
    private(set) var unknown: [String] = []

    init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }

    var lines: [String] { buffer.map { String($0) } }

    /// The first line that the cursor can reach: what has scrolled away is out of its reach.
    private var top: Int { max(0, buffer.count - rows) }

    mutating func write(_ text: String) {
        var rest = Array(text)[...]
        while let character = rest.popFirst() {
            switch character {
            case "\n":
                down()
                column = 0
            case "\r": column = 0
            case "\u{1B}":
                guard rest.first == "[" else { unknown.append("ESC"); continue }
                rest = rest.dropFirst()
                let parameter = rest.prefix { !$0.isLetter }
                rest = rest.dropFirst(parameter.count)
                obey(rest.popFirst() ?? " ", String(parameter))
            default:
                if column == columns {
                    down()
                    column = 0
                }
                put(character)
            }
        }
    }

    private mutating func obey(_ command: Character, _ parameter: String) {
        switch (command, parameter) {
        case ("A", _): row = max(top, row - (Int(parameter) ?? 1))
        case ("J", ""):
            buffer.removeSubrange((row + 1)...)
            buffer[row] = Array(buffer[row].prefix(column))
        case ("h", "?25"), ("l", "?25"): break
        default: unknown.append("[\(parameter)\(command)")
        }
    }

    private mutating func put(_ character: Character) {
        while buffer[row].count <= column { buffer[row].append(" ") }
        buffer[row][column] = character
        column += 1
    }

    private mutating func down() {
        row += 1
        if row == buffer.count { buffer.append([]) }
    }
}

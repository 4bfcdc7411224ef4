// SPDX-License-Identifier: Apache-2.0

import Yams

/// A line and a column of a text, both counted from 1, columns in Unicode scalars as libyaml counts them.
struct TextPosition: Equatable {
    var line: Int
    var column: Int

    init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    init(_ mark: Mark) {
        line = mark.line
        column = mark.column
    }
}

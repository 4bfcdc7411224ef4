// SPDX-License-Identifier: Apache-2.0

import Reports
import Testing

struct TableTests {
    private let table = Table(
        columns: [.init("host", flexible: false), .init("keys", .right, flexible: false), .init("detail")],
        rows: [["n1", "10000", "fine"], ["節点二", "7", "cafe\u{301} 👩‍👩‍👧 ok"], ["n3"]]
    )

    @Test func `columns are aligned by what a terminal shows`() {
        #expect(
            table.render(width: nil) == """
                host     keys  detail
                n1      10000  fine
                節点二      7  cafe\u{301} 👩‍👩‍👧 ok
                n3
                """
        )
    }

    @Test func `a table that is too wide goes on in further lines and loses nothing`() {
        let table = Table(
            columns: [.init("host", flexible: false), .init("path"), .init("why")],
            rows: [["n1", "/var/backups/etcd/n1-20261121", "because it is so"], ["n2", "-", "ok"]]
        )
        let text = table.render(width: 40)
        #expect(
            text == """
                host  path              why
                n1    /var/backups/etc  because it is so
                      d/n1-20261121
                n2    -                 ok
                """
        )
        #expect(text.split(separator: "\n").allSatisfy { DisplayWidth.of(String($0)) <= 40 })
    }

    @Test func `no column is narrowed to nothing`() {
        let narrow = Table(columns: [.init("a"), .init("b")], rows: [["0123456789", "0123456789"]]).render(width: 3)
        #expect(narrow == "a         b\n01234567  01234567\n89        89")
    }

    @Test func `a table without titles has no line for them`() {
        let table = Table(columns: [.init(""), .init("")], rows: [["a", "b"], ["ccc", "d"]])
        #expect(table.render(width: nil) == "a    b\nccc  d")
    }

    @Test func `colours do not move columns, and controls in cells are shown`() {
        let table = Table(
            columns: [.init("state"), .init("x")],
            rows: [[.init("in doubt", .doubt), "1"], [.init("\u{1B}[2J"), "2\r"]]
        )
        #expect(
            table.render(width: nil, style: .colored) == """
                \u{1B}[2mstate\u{1B}[0m     \u{1B}[2mx\u{1B}[0m
                \u{1B}[35min doubt\u{1B}[0m  1
                \\e[2J     2\\r
                """
        )
    }

    @Test func `a cell of several lines makes a row of several lines`() {
        let table = Table(columns: [.init("h"), .init("d", .right)], rows: [["a\nb", "1\r\n22\n"]])
        #expect(table.render(width: nil) == "h   d\na   1\nb  22")
    }

    // MARK: - Widths

    @Test(
        arguments: [
            ("", 0), ("abc", 3), ("ü", 1), ("u\u{308}", 1), ("日本", 4), ("한글", 4), ("ｗ", 2), ("👍🏽", 2), ("👩‍👩‍👧", 2),
            ("🇩🇪", 2), ("❤\u{FE0F}", 2), ("❤", 1), ("\u{200D}", 0), ("…", 1), ("─", 1),
        ]
    )
    func `the width of a text`(text: String, width: Int) {
        #expect(DisplayWidth.of(text) == width)
    }

    @Test(
        arguments: [
            ("hello", 5, "hello"), ("hello", 4, "hel…"), ("hello", 1, "…"), ("hello", 0, ""),
            ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ]
    )
    func `a text is cut by columns`(text: String, columns: Int, expected: String) {
        let cut = DisplayWidth.truncate(text, to: columns)
        #expect(cut == expected)
        #expect(DisplayWidth.of(cut) <= columns)
    }

    @Test func `a text is broken at spaces, and a long word anywhere`() {
        #expect(DisplayWidth.wrap("one two three", to: 8) == ["one two", "three"])
        #expect(DisplayWidth.wrap("abcdefghij kl", to: 4) == ["abcd", "efgh", "ij", "kl"])
        #expect(DisplayWidth.wrap("日本語", to: 1) == ["日", "本", "語"])
        #expect(DisplayWidth.wrap("  keeps what fits", to: 40) == ["  keeps what fits"])
    }
}

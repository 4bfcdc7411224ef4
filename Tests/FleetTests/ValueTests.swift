// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

@testable import Fleet

struct ValueTests {
    /// Texts of Python 3.11's `repr(float)`.
    @Test(arguments: [
        (0.1, "0.1"), (1.0, "1.0"), (1e15, "1000000000000000.0"), (1e16, "1e+16"),
        (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
        (0.0001, "0.0001"), (0.00001, "1e-05"), (1.5e-7, "1.5e-07"), (-0.0, "-0.0"), (1e300, "1e+300"),
        (.leastNonzeroMagnitude, "5e-324"),
        (9_007_199_254_740_993.0, "9007199254740992.0"), (-2.5, "-2.5"), (100.0, "100.0"), (.infinity, "inf"),
    ])
    func `a number prints as Python prints it`(number: Double, text: String) {
        #expect(PythonText.repr(number) == text)
    }

    @Test func `JSON is what Python writes`() {
        let value = Value.map([
            "b": .list([.int(1), .double(2), .bool(true), .null]), "a": .string("ü\u{1F600}\n\"\\\u{7F}\u{1}/"),
            "B": .map([:]), "ä": .list([]),
        ])
        #expect(
            value.json()
                == #"{"B": {}, "a": "\u00fc\ud83d\ude00\n\"\\\u007f\u0001/", "b": [1, 2.0, true, null], "\u00e4": []}"#
        )
        #expect(
            Value.list([.string("ü"), .double(.infinity), .double(.nan)]).json(ascii: false) == #"["ü", Infinity, NaN]"#
        )
        #expect(Value.map(["a": .list([.int(1)])]).json(indent: 2) == "{\n  \"a\": [\n    1\n  ]\n}")
    }

    @Test func `a value prints as a template prints it`() {
        #expect(Value.bool(true).text == "True" && Value.null.text == "None" && Value.double(1.5).text == "1.5")
        #expect(Value.string("a'b").text == "a'b")
        #expect(Value.list([.string("a'b"), .string("c"), .int(1)]).text == #"["a'b", 'c', 1]"#)
        #expect(
            Value.list([.string("é\u{A0}\u{200B}\u{1F600}\u{E0001}\u{2028}")]).text
                == #"['é\xa0\u200b\u{1F600}\U000e0001\u2028']"#.replacing("\\u{1F600}", with: "\u{1F600}")
        )
        #expect(Value.digits("-18446744073709551616").text == "-18446744073709551616")
        #expect(Value.map(["k": .bool(false)]).text == "{'k': False}")
    }

    @Test func `every value comes back from JSON as it was`() throws {
        let value = Value.map([
            "null": .null, "true": .bool(true), "one": .int(1), "zero": .int(0), "double": .double(1),
            "half": .double(0.5),
            "infinity": .double(-.infinity), "text": .string("1"), "list": .list([.double(3), .int(3)]),
            "map": .map([:]),
            "largest": .int(.max), "larger": .digits("9223372036854775808"), "no digits": .map(["$int": .string("1")]),
        ])
        let data = try JSONEncoder().encode(value)
        #expect(try JSONDecoder().decode(Value.self, from: data) == value)
    }

    @Test(arguments: [
        ("yes", Value.bool(true)), ("Off", .bool(false)), ("y", .string("y")), ("~", .null), ("", .null),
        ("0644", .int(420)),
        ("0o644", .string("0o644")), ("089", .string("089")), ("0x1F", .int(31)), ("0b11", .int(3)),
        ("1_000", .int(1000)),
        ("1:30", .int(90)), ("22:99", .string("22:99")), ("01:30", .string("01:30")), ("1.5", .double(1.5)),
        ("1.5e3", .string("1.5e3")), ("1.5e+3", .double(1500)), ("1e3", .string("1e3")), (".5", .double(0.5)),
        ("-.5", .string("-.5")), ("1.2.3", .string("1.2.3")), ("-.inf", .double(-.infinity)), ("+12", .int(12)),
        ("-", .string("-")), (".", .string(".")), ("1__0", .int(10)), ("2024-01-02", .string("2024-01-02")),
        ("2024-1-2 3:04:05", .string("2024-01-02T03:04:05")), ("9223372036854775808", .digits("9223372036854775808")),
        ("-9223372036854775808", .int(.min)), ("10.0.0.1", .string("10.0.0.1")), ("0", .int(0)), ("-0", .int(0)),
        ("0xffffffffffffffff", .digits("18446744073709551615")),
        ("-1_0000000000000000000", .digits("-10000000000000000000")),
        ("NO", .bool(false)), ("nO", .string("nO")), ("1.", .double(1)), ("190:20:30.5", .double(685_230.5)),
    ])
    func `a plain YAML scalar means what it means to PyYAML`(text: String, value: Value) {
        #expect(YAMLScalar.value(ofPlain: text) == value)
    }

    @Test(arguments: [
        ("2024-02-29", false), ("2023-02-29", true), ("2024-13-01", true), ("2024-00-10", true), ("0000-01-01", true),
        ("2000-02-29", false), ("1900-02-29", true), ("2024-04-31", true), ("2024-1-2 3:04:05", false),
        ("2024-1-2 24:04:05", true), ("2024-1-2 3:60:05", true), ("2024-1-2 3:04:60", true),
        ("2024-1-32 3:04:05", true),
        ("2024-1-2 3:04:05 +23:59", false), ("2024-1-2 3:04:05 +24:00", true), ("2024-1-2 3:04:05Z", false),
        ("2024-13", false), ("=", true), ("<<", true), ("==", false), ("", false),
    ])
    func `a plain scalar at which PyYAML fails is known`(text: String, isWrong: Bool) {
        #expect((YAMLScalar.problem(ofPlain: text) != nil) == isWrong)
    }

    @Test(arguments: [
        ("5", Value.int(5)), (" 5 # five", .int(5)), ("017", .string("017")), ("00", .int(0)), ("1e3", .double(1000)),
        ("1,2", .list([.int(1), .int(2)])),
        ("True", .bool(true)), ("true", .string("true")), ("Truely", .string("Truely")), ("'a' \"b\"", .string("ab")),
        ("r'\\n'", .string("\\n")), ("'\\x41\\u00e9\\101'", .string("AéA")), ("f'x'", .string("f'x'")),
        ("[1, 2", .string("[1, 2")),
        ("{'a': [1, (2,)], 3: None}", .map(["a": .list([.int(1), .list([.int(2)])]), "3": .null])), ("{}", .map([:])),
        ("()", .list([])), ("(1)", .int(1)), ("{2, 1}", .list([.int(1), .int(2)])), ("1 2", .string("1 2")),
        ("5a", .string("5a")),
        ("- 5", .int(-5)), ("--5", .string("--5")), ("-True", .string("-True")), ("10.0.0.1", .string("10.0.0.1")),
        ("a=b", .string("a=b")), ("", .string("")), ("#", .string("#")), ("0x", .string("0x")), ("1_", .string("1_")),
        (".", .string(".")), ("...", .string("...")), ("'a", .string("'a")), ("[[]]", .list([.list([])])),
        (",", .string(",")),
        ("99999999999999999999", .digits("99999999999999999999")), ("-9223372036854775808", .int(.min)),
        ("-9223372036854775809", .digits("-9223372036854775809")),
        ("0o7_0000000000000000000000", .digits("516508834063867445248")),
        ("[0X1_0000000000000001]", .list([.digits("18446744073709551617")])), ("{{ x }}", .string("{{ x }}")),
        ("5,", .list([.int(5)])), ("b'a' b'c'", .string("ac")), ("'a' b'c'", .string("'a' b'c'")),
        ("b'é'", .string("b'é'")), ("b'a' 'c'", .string("b'a' 'c'")),
    ])
    func `an INI value means what it means to Python`(text: String, value: Value) {
        #expect(PythonLiteral.valueOrText(text) == value)
    }

    @Test(arguments: [
        ("a b", ["a", "b"]), ("a#b c", ["a"]), ("a='x y' b", ["a=x y", "b"]), (#"a="x\"y\z""#, [#"a=x"y\z"#]),
        ("'' b", ["", "b"]),
        (#"a\ b"#, ["a b"]), (#"'a\b'"#, [#"a\b"#]), ("a''b", ["ab"]), ("  ", []), ("'#' #c", ["#"]),
    ])
    func `words are cut as shlex cuts them`(line: String, words: [String]) throws {
        #expect(try ShellWords.split(line, comments: true).map(\.text) == words)
    }

    @Test func `a whole number may have any length that Python prints`() {
        let zeros = String(repeating: "0", count: 64)
        #expect(YAMLScalar.value(ofPlain: "0b1" + zeros) == .digits("18446744073709551616"))
        #expect(YAMLScalar.value(ofPlain: "0x1" + zeros.prefix(16)) == .digits("18446744073709551616"))
        let long = "1" + String(repeating: "0", count: 4299)
        #expect(YAMLScalar.value(ofPlain: long) == .digits(long))
        #expect(YAMLScalar.value(ofPlain: long + "0") == .string(long + "0"))
        #expect(PythonLiteral.valueOrText(long) == .digits(long))
        #expect(PythonLiteral.valueOrText(long + "0") == .string(long + "0"))
    }

    @Test func `an unfinished quote is told with its place`() {
        #expect(throws: ShellWords.Unfinished(message: "a quote is opened and not closed", offset: 2)) {
            try ShellWords.split("a 'b", comments: true)
        }
        #expect(throws: ShellWords.Unfinished.self) { try ShellWords.split("a \\", comments: false) }
    }

    @Test(arguments: [
        ("a[b-d]e", "ace", true), ("a[!b-d]e", "ace", false), ("*b*", "abc", true), ("a*c*e", "abcde", true),
        ("a?", "a", false),
        ("[]]", "]", true), ("[", "[", true), ("*", "", true), ("a*b", "ac", false), ("**a", "bba", true),
    ])
    func `a glob matches as fnmatch does`(pattern: String, text: String, expected: Bool) {
        #expect(Glob.matches(pattern, text) == expected)
    }
}

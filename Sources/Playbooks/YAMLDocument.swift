// SPDX-License-Identifier: Apache-2.0

import Fleet
import Yams

/// Reads YAML text into a tree with places, and says everything that is wrong with it.
struct YAMLDocument {
    /// No file of a person comes near; a file that does is one that expands itself by aliases.
    private static let mostNodes = 100_000
    /// The first of the characters that stand in for a key's first character, see ``renameDuplicate``.
    private static let firstStandIn: UInt32 = 0xE000
    private static let mostDuplicates = 64

    private let file: String
    private var lines: [[Unicode.Scalar]]
    /// Where each duplicate key stood, by the character that stands in for its first one.
    private var duplicates: [Unicode.Scalar: Unicode.Scalar] = [:]
    private var nodeCount = 0
    private(set) var diagnostics: [Diagnostic] = []

    /// Reads the one document of a text; the root is `nil` where nothing could be read.
    static func read(_ text: String, file: String) -> (root: YAMLNode?, diagnostics: [Diagnostic]) {
        var document = YAMLDocument(text, file: file)
        let root = document.parse()
        return (root, document.diagnostics)
    }

    private init(_ text: String, file: String) {
        self.file = file
        // A byte order mark is allowed by YAML and is no part of the first key.
        let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
        lines = text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map(Array.init)
    }

    private var source: String {
        var text = String.UnicodeScalarView()
        for (index, line) in lines.enumerated() {
            if index > 0 { text.append("\n") }
            text.append(contentsOf: line)
        }
        return String(text)
    }

    private mutating func parse() -> YAMLNode? {
        while true {
            do {
                let parser = try Parser(yaml: source, encoding: .utf8)
                let root = try parser.nextRoot()
                let next = try root == nil ? nil : parser.nextRoot()
                if let next {
                    report(
                        next.mark,
                        "the file holds several YAML documents",
                        "keep one document; write the others into files of their own"
                    )
                }
                return root.map { convert($0) }
            } catch YamlError.duplicatedKeysInMapping(let names, let context) {
                if renameDuplicate(at: context.mark) { continue }
                report(context.mark, "the key '\(names.first ?? "?")' stands more than once in a mapping")
                return nil
            } catch {
                reportSyntax(error)
                return nil
            }
        }
    }

    /// Lets the reading go on after a duplicate key, so that it is one problem among all that are reported.
    ///
    /// Yams refuses the whole file and tells the place of the first of the equal keys only. That one gets a character
    /// of Unicode's private use area in place of its first one; it is put back when the tree is converted.
    private mutating func renameDuplicate(at mark: Mark) -> Bool {
        guard duplicates.count < Self.mostDuplicates, lines.indices.contains(mark.line - 1),
            let standIn = Unicode.Scalar(Self.firstStandIn + UInt32(duplicates.count))
        else { return false }
        var column = mark.column - 1
        let line = lines[mark.line - 1]
        if line.indices.contains(column), line[column] == "\"" || line[column] == "'" { column += 1 }
        guard line.indices.contains(column), line[column].properties.isAlphabetic || line[column] == "_" else {
            return false
        }
        duplicates[standIn] = line[column]
        lines[mark.line - 1][column] = standIn
        return true
    }

    // MARK: - Tree

    private mutating func convert(_ node: Node) -> YAMLNode {
        let location = place(node.mark)
        nodeCount += 1
        guard nodeCount <= Self.mostNodes else {
            if nodeCount == Self.mostNodes + 1 { report(node.mark, "the file expands to too many values") }
            return YAMLNode(location: location, content: .invalid)
        }
        switch node {
        case .scalar(let scalar):
            return YAMLNode(location: location, content: convert(scalar, at: location))
        case .sequence(let sequence):
            return YAMLNode(location: location, content: .list(sequence.map { convert($0) }))
        case .mapping(let mapping):
            return YAMLNode(location: location, content: convert(mapping, at: node.mark))
        case .alias:
            report(node.mark, "an alias that refers to nothing")
            return YAMLNode(location: location, content: .invalid)
        }
    }

    private mutating func convert(_ scalar: Node.Scalar, at location: SourceLocation) -> YAMLNode.Content {
        // No tag, `!`, or one of YAML's own; `!vault`, `!unsafe` and the like mean something that pawl does not do.
        let tag = scalar.tag.description
        guard tag.isEmpty || tag == "!" || tag.hasPrefix("tag:yaml.org,2002:") else {
            report(scalar.mark, "the tag '\(tag)' is not supported", "write the value itself")
            return .invalid
        }
        let isPlain = scalar.style == .plain || scalar.style == .any
        let text = restored(scalar.string)
        return .scalar(
            YAMLScalar(
                text: text,
                isText: !isPlain || tag == Tag.Name.str.rawValue,
                openings: openings(of: text, from: location)
            )
        )
    }

    private mutating func convert(_ mapping: Node.Mapping, at mark: Mark?) -> YAMLNode.Content {
        var entries: [YAMLEntry] = []
        var firstPlaces: [String: SourceLocation] = [:]
        for (keyNode, valueNode) in mapping {
            guard case .scalar(let scalar) = keyNode else {
                // `key: {{ name }}` without quotes is a mapping in a mapping to YAML.
                report(
                    mark,
                    "a mapping's key must be a word",
                    "a value that starts with '{{' must be quoted: \"{{ name }}\""
                )
                return .invalid
            }
            let key = restored(scalar.string)
            let location = place(scalar.mark)
            let value = convert(valueNode)
            if let first = firstPlaces[key] {
                diagnostics.append(
                    Diagnostic(
                        at: location,
                        "the key '\(key)' stands here a second time; it is already in line \(first.line)"
                    )
                )
            } else {
                firstPlaces[key] = location
                entries.append(YAMLEntry(key: key, keyLocation: location, value: value))
            }
        }
        return .map(entries)
    }

    private func restored(_ text: String) -> String {
        guard !duplicates.isEmpty, text.unicodeScalars.contains(where: { duplicates[$0] != nil }) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { duplicates[$0] ?? $0 }))
    }

    /// The places of the `{{` and `{%` of a scalar: those that follow its start in the file, in the same order.
    private func openings(of text: String, from start: SourceLocation) -> [SourceLocation] {
        var missing = Template.openings(in: Array(text.unicodeScalars)[...]).count
        var places: [SourceLocation] = []
        var line = start.line - 1
        var column = start.column - 1
        while missing > 0, lines.indices.contains(line) {
            for offset in Template.openings(in: lines[line].dropFirst(column)) where missing > 0 {
                places.append(SourceLocation(file: file, line: line + 1, column: offset + 1))
                missing -= 1
            }
            line += 1
            column = 0
        }
        return places
    }

    // MARK: - Diagnostics

    private func place(_ mark: Mark?) -> SourceLocation {
        SourceLocation(file: file, line: max(1, mark?.line ?? 1), column: max(1, mark?.column ?? 1))
    }

    private mutating func report(_ mark: Mark?, _ summary: String, _ remedy: String? = nil) {
        diagnostics.append(Diagnostic(at: place(mark), summary, remedy: remedy))
    }

    private mutating func reportSyntax(_ error: any Error) {
        let tabs = lines.indices.filter { lines[$0].prefix { $0 == " " || $0 == "\t" }.contains("\t") }
        for line in tabs {
            let column = lines[line].firstIndex(of: "\t") ?? 0
            diagnostics.append(
                Diagnostic(
                    at: SourceLocation(file: file, line: line + 1, column: column + 1),
                    "a tab in the indentation",
                    remedy: "YAML is indented with spaces"
                )
            )
        }
        switch error {
        case YamlError.scanner(let context, let problem, let mark, _),
            YamlError.parser(let context, let problem, let mark, _),
            YamlError.composer(let context, let problem, let mark, _):
            guard !tabs.contains(mark.line - 1) else { return }
            let opening = context.map { ", \($0.text) that began in line \($0.mark.line)" } ?? ""
            report(mark, "this is not YAML: \(problem)\(opening)", syntaxRemedy(at: mark))
        case YamlError.reader(let problem, let offset, _, let text):
            let before = text.prefix(offset ?? 0)
            let column = before.reversed().prefix { !$0.isNewline }.count
            let line = before.filter(\.isNewline).count
            let location = SourceLocation(file: file, line: line + 1, column: column + 1)
            diagnostics.append(Diagnostic(at: location, "this is not YAML: \(problem)"))
        default:
            report(nil, "this is not YAML: \(error)")
        }
    }

    /// The slip behind most errors that speak of tokens.
    private func syntaxRemedy(at mark: Mark) -> String? {
        guard lines.indices.contains(mark.line - 1) else { return nil }
        let line = String(String.UnicodeScalarView(lines[mark.line - 1]))
        if line.contains("{{"), !line.contains("\"{{"), !line.contains("'{{") {
            return "text that holds '{{' at its start must be quoted"
        }
        return line.contains("%}") || line.contains("{%") ? "'{% … %}' is not supported" : nil
    }
}

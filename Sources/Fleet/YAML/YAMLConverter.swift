// SPDX-License-Identifier: Apache-2.0

import Yams

/// Turns the tree that Yams composed into nodes with places, and finds duplicate keys and wrong merges on the way.
struct YAMLConverter {
    /// Aliases can make a small file stand for an endless tree; an inventory never comes near this.
    private static let mostNodes = 500_000

    private(set) var problems: [Diagnostic] = []
    private let file: String
    private let duplicates: YAMLDuplicates
    private let isJSON: Bool
    private var nodeCount = 0
    /// Where each anchor stands.
    private var anchors: [String: SourceLocation] = [:]

    init(file: String, duplicates: YAMLDuplicates = YAMLDuplicates(text: ""), isJSON: Bool = false) {
        self.file = file
        self.duplicates = duplicates
        self.isJSON = isJSON
    }

    /// The whole tree, or `nil` where aliases make it larger than anything a person means.
    mutating func root(_ node: Node) -> YAMLNode? {
        let result = convert(node)
        guard nodeCount > Self.mostNodes else { return result }
        problems.append(
            Diagnostic(
                at: SourceLocation(file: file, line: 1, column: 1),
                "the document stands for more than \(Self.mostNodes) nodes",
                remedy: "use fewer aliases within aliases"
            )
        )
        return nil
    }

    private func location(of node: Node) -> SourceLocation {
        guard let mark = node.mark else { return SourceLocation(file: file, line: 1, column: 1) }
        let restored = duplicates.restored(TextPosition(mark))
        return SourceLocation(file: file, line: restored.line, column: restored.column)
    }

    private mutating func convert(_ node: Node, isKey: Bool = false) -> YAMLNode {
        nodeCount += 1
        let location = location(of: node)
        if let anchor = node.anchor?.rawValue { note(anchor, at: location) }
        guard nodeCount <= Self.mostNodes else {
            return YAMLNode(content: .scalar("", isPlain: true), tag: "", location: location)
        }
        switch node {
        case .scalar(let scalar):
            return convert(scalar, isKey: isKey, location: location)
        case .sequence(let sequence):
            let nodes = sequence.map { convert($0) }
            return YAMLNode(content: .sequence(nodes), tag: sequence.tag.rawValue, location: location)
        case .mapping(let mapping):
            return YAMLNode(content: .mapping(pairs(of: mapping)), tag: mapping.tag.rawValue, location: location)
        case .alias:
            // Yams resolves aliases while it loads; the case exists for trees made in code.
            return YAMLNode(content: .scalar("", isPlain: true), tag: "", location: location)
        }
    }

    /// What an alias stands for comes by as often as it is named, always with the one place of its anchor.
    private mutating func note(_ anchor: String, at location: SourceLocation) {
        guard let first = anchors[anchor] else { return anchors[anchor] = location }
        guard first != location, !problems.contains(where: { $0.location == location }) else { return }
        problems.append(
            Diagnostic(
                at: location,
                "the anchor `&\(anchor)` is given twice, first at \(first)",
                remedy: "give each its own name"
            )
        )
    }

    private func convert(_ scalar: Node.Scalar, isKey: Bool, location: SourceLocation) -> YAMLNode {
        let isPlain = scalar.style == .plain || scalar.style == .any
        let text = duplicates.original(of: scalar.string)
        if isJSON, isPlain, JSONForm.isNumber(text) {
            return YAMLNode(content: .scalar(text, isPlain: true), tag: Tag.Name.float.rawValue, location: location)
        }
        // Yams tags quoted scalars `str`, and resolves the tags of keys when it looks for duplicates.
        let isImplied = isKey || (!isPlain && scalar.tag.rawValue == Tag.Name.str.rawValue)
        return YAMLNode(
            content: .scalar(text, isPlain: isPlain),
            tag: isImplied ? "" : scalar.tag.rawValue,
            location: location
        )
    }

    /// The entries of a mapping: those of merge keys first, each key once, the last value winning.
    private mutating func pairs(of mapping: Node.Mapping) -> [YAMLNode.Pair] {
        var merged: [YAMLNode.Pair] = []
        var own: [YAMLNode.Pair] = []
        var firstPlaces: [String: SourceLocation] = [:]
        for (keyNode, valueNode) in mapping {
            let key = convert(keyNode, isKey: true)
            let value = convert(valueNode)
            guard case .scalar = key.content else {
                refuse(key)
                continue
            }
            if case .scalar("<<", isPlain: true) = key.content {
                merged += mergePairs(value)
                continue
            }
            guard nodeCount <= Self.mostNodes else { continue }
            if !isJSON, let first = firstPlaces.updateValue(key.location, forKey: key.keyText) {
                firstPlaces[key.keyText] = first
                problems.append(
                    Diagnostic(
                        at: key.location,
                        "the key `\(key.keyText)` is given twice, first at \(first)",
                        remedy: "remove one of the two"
                    )
                )
            }
            own.append(YAMLNode.Pair(key: key, value: value))
        }
        return merged.isEmpty && !isJSON ? own : Self.withoutRepetition(merged + own)
    }

    /// What is no text, number or the like names nothing; most often it is `k: {{ name }}` without quotes.
    private mutating func refuse(_ key: YAMLNode) {
        let isTemplate = key.pairs != nil
        problems.append(
            Diagnostic(
                at: key.location,
                "the key of a mapping is \(key.kindDescription), not a text",
                remedy: isTemplate ? "quote a value that begins with braces: `\"{{ name }}\"`" : "put it in quotes"
            )
        )
    }

    private static func withoutRepetition(_ pairs: [YAMLNode.Pair]) -> [YAMLNode.Pair] {
        var result: [YAMLNode.Pair] = []
        var places: [String: Int] = [:]
        for pair in pairs {
            if let place = places[pair.key.keyText] {
                result[place] = pair
            } else {
                places[pair.key.keyText] = result.count
                result.append(pair)
            }
        }
        return result
    }

    /// What `<<: value` brings in.
    ///
    /// In a list of mappings the earlier ones win (YAML merge key, and PyYAML).
    private mutating func mergePairs(_ node: YAMLNode) -> [YAMLNode.Pair] {
        switch node.content {
        case .mapping(let pairs): return pairs
        case .sequence(let nodes) where nodes.allSatisfy({ $0.pairs != nil }):
            return nodes.reversed().flatMap { $0.pairs ?? [] }
        default:
            problems.append(
                Diagnostic(
                    at: node.location,
                    "`<<` merges a mapping or a list of mappings, not \(node.kindDescription)",
                    remedy: "write `<<: *name` with the anchor `&name` at a mapping"
                )
            )
            return []
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

/// A node of a YAML document with its place in the file, after merge keys and duplicate keys were dealt with.
struct YAMLNode: Sendable {
    struct Pair: Sendable {
        var key: YAMLNode
        var value: YAMLNode
    }

    enum Content: Sendable {
        case scalar(String, isPlain: Bool)
        case sequence([YAMLNode])
        case mapping([Pair])
    }

    var content: Content
    /// The tag as written, in full (`tag:yaml.org,2002:str`, `!vault`); empty where there is none.
    var tag: String
    var location: SourceLocation

    /// The value of a scalar, typed; `nil` for anything else.
    var scalarValue: Value? {
        guard case .scalar(let text, let isPlain) = content else { return nil }
        return isPlain && tag.isEmpty ? YAMLScalar.value(ofPlain: text) : .string(text)
    }

    /// The entries, where the node is a mapping.
    var pairs: [Pair]? {
        if case .mapping(let pairs) = content { pairs } else { nil }
    }

    /// Whether it stands for nothing, as the right side of `etcd:`.
    var isNull: Bool { scalarValue == .null }

    /// What it is, in a message.
    var kindDescription: String {
        switch content {
        case .sequence: "a list"
        case .mapping: "a mapping"
        case .scalar: scalarValue?.kindDescription ?? "a scalar"
        }
    }

    /// The text of a key, as Python's JSON would spell it: `True` is `true`, 1 is `1`.
    var keyText: String {
        switch scalarValue {
        case .null?: "null"
        case .bool(let value)?: value ? "true" : "false"
        case let value?: value.text
        case nil: kindDescription
        }
    }

    /// The node as a value, with what is wrong with tags in it.
    func value(_ problems: inout [Diagnostic]) -> Value {
        switch content {
        case .scalar(let text, let isPlain): return scalar(text, isPlain: isPlain, &problems)
        case .sequence(let nodes):
            checkTag(["tag:yaml.org,2002:seq", "!unsafe"], &problems)
            return .list(nodes.map { $0.value(&problems) })
        case .mapping(let pairs):
            checkTag(["tag:yaml.org,2002:map", "!unsafe"], &problems)
            var result: [String: Value] = [:]
            for pair in pairs { result[pair.key.keyText] = pair.value.value(&problems) }
            return .map(result)
        }
    }

    private func scalar(_ text: String, isPlain: Bool, _ problems: inout [Diagnostic]) -> Value {
        switch tag {
        case "":
            guard isPlain else { return .string(text) }
            if let problem = YAMLScalar.problem(ofPlain: text) {
                problems.append(Diagnostic(at: location, "`\(text)` \(problem)", remedy: "put it in quotes"))
            }
            return YAMLScalar.value(ofPlain: text)
        case "!", "tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp": return .string(text)
        case "!unsafe":
            // Ansible resolves the scalar anew, whatever its quotes (`_resolve_and_construct_object`), and never
            // templates it. A value here cannot say the latter, so it must not be needed.
            let value = YAMLScalar.value(ofPlain: text)
            guard value.isTemplate else { return value }
            problems.append(
                Diagnostic(
                    at: location,
                    "`!unsafe` on a text with braces is not supported: it would be taken for a template",
                    remedy: "leave the variable out"
                )
            )
            return value
        case "tag:yaml.org,2002:null": return .null
        case "tag:yaml.org,2002:int": if let value = YAMLScalar.integer(text) { return value }
        case "tag:yaml.org,2002:float":
            if let value = YAMLScalar.float(text) ?? Double(text).map(Value.double) { return value }
        case "tag:yaml.org,2002:bool":
            if case .bool(let value) = YAMLScalar.value(ofPlain: text) { return .bool(value) }
        case "!vault", "!vault-encrypted":
            do {
                _ = try VaultText(text) { _ in location }
            } catch {
                problems += error.diagnostics
            }
            return .sealed(text)
        default:
            problems.append(unknownTag)
            return .null
        }
        problems.append(
            Diagnostic(at: location, "`\(text)` is not what its tag \(shortTag) says", remedy: "remove the tag")
        )
        return .null
    }

    private func checkTag(_ known: [String], _ problems: inout [Diagnostic]) {
        if !tag.isEmpty, tag != "!", !known.contains(tag) { problems.append(unknownTag) }
    }

    private var unknownTag: Diagnostic {
        Diagnostic(at: location, "the tag \(shortTag) is not known", remedy: "remove the tag")
    }

    private var shortTag: String {
        let prefix = "tag:yaml.org,2002:"
        return tag.hasPrefix(prefix) ? "!!" + tag.dropFirst(prefix.count) : tag
    }
}

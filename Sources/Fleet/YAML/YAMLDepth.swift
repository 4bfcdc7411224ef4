// SPDX-License-Identifier: Apache-2.0

/// An upper bound on how deep a YAML text nests, found without parsing it.
///
/// The parser descends once for each level, so a hostile file could exhaust the stack before anything else is known.
enum YAMLDepth {
    static func isAtMost(_ limit: Int, in text: String) -> Bool {
        var flow = 0
        var deepestFlow = 0
        var indent = 0
        var deepestIndent = 0
        var isAtStart = true
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                indent = 0
                isAtStart = true
            case UInt8(ascii: " "), UInt8(ascii: "-"), UInt8(ascii: "?"):
                if isAtStart {
                    indent += 1
                    deepestIndent = max(deepestIndent, indent)
                }
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                isAtStart = false
                flow += 1
                deepestFlow = max(deepestFlow, flow)
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                isAtStart = false
                flow = max(0, flow - 1)
            default: isAtStart = false
            }
        }
        return deepestFlow <= limit && deepestIndent <= 2 * limit
    }
}

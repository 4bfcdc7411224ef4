// SPDX-License-Identifier: Apache-2.0

/// The value of a variable or a parameter, as YAML and JSON know values.
package enum Value: Hashable, Sendable {
    case null
    case bool(Bool)
    case int(Int)
    /// A whole number beyond 64 bits, in decimal digits with its sign; ``whole(_:radix:isNegative:)`` makes them.
    case digits(String)
    case double(Double)
    case string(String)
    case list([Value])
    case map([String: Value])
}

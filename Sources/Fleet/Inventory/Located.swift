// SPDX-License-Identifier: Apache-2.0

/// A variable's value with the place that gave it.
struct Located: Sendable, Hashable {
    var value: Value
    var location: SourceLocation
}

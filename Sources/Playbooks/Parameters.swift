// SPDX-License-Identifier: Apache-2.0

import Fleet

/// The parameters of one step after templates were filled in, types were checked and defaults were set.
///
/// The accessors answer for names of the action's schema; the reader has made sure that required ones are there and
/// that every value has its type, so an absent optional parameter is the only `nil`.
package struct Parameters: Sendable, Hashable {
    package var values: [String: Value]

    package init(_ values: [String: Value]) {
        self.values = values
    }

    package func string(_ name: String) -> String? {
        guard case .string(let text)? = values[name], !text.isEmpty else { return nil }
        return text
    }

    package func integer(_ name: String) -> Int? {
        guard case .int(let number)? = values[name] else { return nil }
        return number
    }

    package func boolean(_ name: String) -> Bool? {
        guard case .bool(let flag)? = values[name] else { return nil }
        return flag
    }

    /// A duration; the reader stores it as seconds.
    package func duration(_ name: String) -> Duration? {
        switch values[name] {
        case .int(let seconds)?: .seconds(seconds)
        case .double(let seconds)?: .seconds(seconds)
        default: nil
        }
    }

    package func strings(_ name: String) -> [String]? {
        guard case .list(let items)? = values[name] else { return nil }
        return items.compactMap { item in
            if case .string(let text) = item { text } else { nil }
        }
    }

    package func group(_ name: String) -> Parameters? {
        guard case .map(let values)? = values[name] else { return nil }
        return Parameters(values)
    }
}

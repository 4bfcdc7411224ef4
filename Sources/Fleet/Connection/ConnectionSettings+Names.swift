// SPDX-License-Identifier: Apache-2.0

extension ConnectionSettings {
    /// The variables of a host that say how it is reached.
    package static var variableNames: Set<String> { ConnectionVariables.names }
}

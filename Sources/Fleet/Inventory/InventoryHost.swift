// SPDX-License-Identifier: Apache-2.0

/// A host of the inventory with the variables that its groups and its own entry give it.
package struct InventoryHost: Hashable, Sendable {
    package var name: String
    /// Merged in Ansible's order of precedence.
    ///
    /// Templates in them are not resolved.
    package var variables: [String: Value]
    /// Where the host is first named.
    package var location: SourceLocation
    /// Where each variable that won was set.
    package var variableLocations: [String: SourceLocation]

    package init(
        name: String,
        variables: [String: Value],
        location: SourceLocation,
        variableLocations: [String: SourceLocation] = [:]
    ) {
        self.name = name
        self.variables = variables
        self.location = location
        self.variableLocations = variableLocations
    }
}

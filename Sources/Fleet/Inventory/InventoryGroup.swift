// SPDX-License-Identifier: Apache-2.0

/// A group of the inventory.
///
/// What it holds through its children is asked of ``Inventory``.
package struct InventoryGroup: Hashable, Sendable {
    package var name: String
    /// Its own hosts, in the order in which they are listed.
    package var hosts: [String]
    /// Its own child groups, in the order in which they are listed.
    package var children: [String]
    /// Its own variables, with those of `group_vars`.
    package var variables: [String: Value]
    /// How far it is below `all`; deeper groups override.
    package var depth: Int
    /// `ansible_group_priority`; among groups of one depth the highest overrides.
    package var priority: Int
    /// Where it is first named; `nil` for `all` and `ungrouped`, which every inventory has.
    package var location: SourceLocation?

    package init(
        name: String,
        hosts: [String],
        children: [String],
        variables: [String: Value],
        depth: Int,
        priority: Int,
        location: SourceLocation?
    ) {
        self.name = name
        self.hosts = hosts
        self.children = children
        self.variables = variables
        self.depth = depth
        self.priority = priority
        self.location = location
    }
}

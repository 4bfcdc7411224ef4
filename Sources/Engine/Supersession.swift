// SPDX-License-Identifier: Apache-2.0

/// What a new run may put an end to that its nodes are in the middle of.
package enum Supersession: Sendable, Hashable {
    /// A run is refused while the nodes are in another.
    case nothing
    /// Whatever it is, it is marked as given up: `--supersede`.
    case everything
    /// This run only, which the new one goes on from, as a rollback does.
    case run(String)
}

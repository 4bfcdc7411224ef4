// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// Lets few connections at a time be opened through proxies.
///
/// A jump host drops new connections at random from the tenth on that has not signed in yet (`MaxStartups 10:30:100`,
/// sshd_config(5)), which would be the failure of a host that has done nothing wrong.
final class ProxyGates: Sendable {
    static let shared = ProxyGates()
    static let count = 8

    private let gates = (0..<count).map { _ in OperationGate() }
    private let turn = Atomic<UInt>(0)

    /// The gate that the next connection goes through, in turn.
    func next() -> OperationGate {
        gates[Int(turn.wrappingAdd(1, ordering: .relaxed).oldValue % UInt(gates.count))]
    }
}

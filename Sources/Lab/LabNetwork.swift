// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The private network of booted nodes: a bridge of their own, nothing forwarded, no way out.
enum LabNetwork {
    /// Derived from the network, so that the kernel's refusal to make an interface twice keeps two labs apart; short,
    /// because `vb-` and a digit are put around it and an interface's name has at most 15 characters.
    static func bridgeName(_ network: String) -> String {
        "pawl" + network.split(separator: ".").compactMap { UInt8($0) }.map { String(format: "%02x", $0) }.joined()
    }

    /// Networks to try, in an order that differs from lab to lab.
    static func candidates(_ options: LabOptions, id: String, base: String) -> [String] {
        if let network = options.network { return [network] }
        let first = Int(id.prefix(2), radix: 16) ?? 0
        return (0..<254).map { "\(base).\(1 + (first + $0) % 254)" }
    }

    /// Makes the bridge of the first network that is free.
    ///
    /// The state is saved before each try, so that a bridge whose making nobody saw is found again.
    static func makeBridge(_ state: inout LabState) async throws {
        let used = try await LabProgram.check("ip", ["-4", "route", "show", "table", "all"])
        for network in candidates(state.options, id: state.id, base: "10.213") {
            guard !used.contains(" \(network)."), !used.contains("\n\(network).") else { continue }
            let bridge = bridgeName(network)
            state.use(network: network)
            state.bridge = bridge
            try state.save()
            let made = try await LabProgram.run(
                "ip",
                ["link", "add", "name", bridge, "address", state.bridgeAddress, "type", "bridge"]
            )
            if made.exitCode != 0 {
                guard made.standardError.contains("File exists") else {
                    throw LabError(
                        .notPermitted,
                        "the bridge \(bridge) could not be made: \(made.standardError.trimmed)",
                        remedy: "booted nodes need CAP_NET_ADMIN and the kernel's bridge module; or use plain nodes"
                    )
                }
                continue
            }
            try await LabProgram.check("ip", ["addr", "add", "\(network).1/24", "dev", bridge])
            try await LabProgram.check("ip", ["link", "set", bridge, "up"])
            return
        }
        throw LabError(
            .network,
            "the network \(state.options.network ?? "10.213.1 to 10.213.254") is in use on this machine",
            remedy: "take another lab down, or choose a free network"
        )
    }

    /// Removes the bridge if it is there and is the one that this lab made.
    static func removeBridge(_ state: LabState) async throws {
        guard
            let bridge = state.bridge,
            let address = try? String(contentsOfFile: "/sys/class/net/\(bridge)/address", encoding: .utf8),
            address.trimmed == state.bridgeAddress
        else { return }
        // A supervisor that was killed while it set its node up left the host's end of the cable.
        for node in state.nodes where FileManager.default.fileExists(atPath: "/sys/class/net/vb-\(node.machine)") {
            let cable = "vb-\(node.machine)"
            let output = try await LabProgram.run("ip", ["link", "del", cable])
            // It also goes by itself, a moment after its node.
            guard output.exitCode == 0 || !FileManager.default.fileExists(atPath: "/sys/class/net/\(cable)") else {
                throw LabError(.network, "\(cable) cannot be removed: \(output.standardError.trimmed)")
            }
        }
        try await LabProgram.check("ip", ["link", "del", bridge])
    }
}

extension String {
    var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}

extension LabState {
    /// Gives the nodes their addresses in a network: `.11` for the first one.
    mutating func use(network: String) {
        self.network = network
        for index in nodes.indices {
            nodes[index].address = "\(network).\(11 + index)"
            if kind == .booted { nodes[index].machine = LabNetwork.bridgeName(network) + "n\(index + 1)" }
        }
    }
}

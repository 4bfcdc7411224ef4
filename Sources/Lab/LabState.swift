// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What is known of one lab; kept as `lab.json` in its directory, which is written before each thing is made, so that
/// the lab can be taken down whenever its controller dies.
package struct LabState: Sendable, Codable, Hashable {
    package enum Phase: String, Sendable, Codable {
        case starting
        case up
    }

    /// Raised when an older pawl could not take the lab down any more.
    static let currentFormat = 1

    package var format = LabState.currentFormat
    /// 32 hex digits, new for each lab.
    ///
    /// It marks processes and the bridge as this lab's.
    package var id: String
    /// `booted` or `plain`.
    package var kind: LabOptions.Kind
    package var phase: Phase
    /// Absolute, without symbolic links.
    package var directory: String
    /// The first three parts of the nodes' addresses.
    package var network: String
    /// The interface that connects booted nodes; made and removed by the lab.
    package var bridge: String?
    package var options: LabOptions
    package var nodes: [LabNode]
    /// What the person who asked for the lab should know, as why `auto` chose plain nodes.
    package var notice: String?

    package var layout: LabLayout { LabLayout(directory: directory) }
    /// The inventory that names the nodes.
    package var inventory: String { layout.inventory }

    /// The certificates as they are on this machine; `nil` for a lab that speaks http.
    package var certificates: LabCertificates? {
        options.tls == true ? LabCertificates(directory: layout.certificates) : nil
    }

    /// The hardware address of the bridge.
    ///
    /// The kernel sets it in the same step that makes the bridge, so that a bridge of the same name made by somebody
    /// else is never taken for ours.
    var bridgeAddress: String {
        var parts = ["02"]
        var rest = id[...]
        while parts.count < 6 {
            parts.append(String(rest.prefix(2)))
            rest = rest.dropFirst(2)
        }
        return parts.joined(separator: ":")
    }

    /// The lab in a directory.
    package static func load(_ directory: String) throws(LabError) -> LabState {
        let layout = LabLayout(directory: directory)
        let state: LabState
        do {
            state = try JSONDecoder().decode(LabState.self, from: Data(contentsOf: URL(filePath: layout.state)))
        } catch {
            throw LabError(.notALab, "\(layout.state) cannot be read: \(error)", remedy: "is this the lab's directory?")
        }
        guard state.format == currentFormat else {
            throw LabError(
                .notALab,
                "\(layout.state) has format \(state.format), this pawl writes \(currentFormat)",
                remedy: "take the lab down with the pawl that made it"
            )
        }
        return state
    }

    func save() throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try layout.write(encoder.encode(self), to: layout.state)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Remote
import SSH
import Testing

@testable import PawlCommands

@Suite struct SSHConnectorTests {
    @Test(arguments: [
        ("", true), ("-o HostKeyAlgorithms=+ssh-rsa", true), ("-o HostKeyAlgorithms=-ssh-ed25519", true),
        ("-o HostKeyAlgorithms=^ssh-rsa", false), ("-o HostKeyAlgorithms=ssh-ed25519", false),
    ])
    func `what is added to the usual types of host keys, or left out, leaves the record's types first`(
        arguments: String,
        expected: Bool
    ) throws {
        let host = InventoryHost(
            name: "n1",
            variables: ["ansible_ssh_common_args": .string(arguments)],
            location: SourceLocation(file: "hosts.yml", line: 1, column: 1)
        )
        let settings = try SSHConfig(.none).settings(for: ConnectionSettings(host: host))
        #expect(SSHConnector.endpoint("n1", settings).algorithms.prefersRecordedHostKeys == expected)
    }
}

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

    @Test func `a host whose way is said wrongly names the command that tells the same`() async throws {
        let host = InventoryHost(
            name: "n1",
            variables: ["ansible_host": .string("10.0.0.1"), "ansible_user": .string("u;id")],
            location: SourceLocation(file: "hosts.yml", line: 1, column: 1)
        )
        let unusable = SSHConnector(configuration: try SSHConfig(.none)).host(try ConnectionSettings(host: host))
        var error: RemoteError?
        do throws(RemoteError) {
            _ = try await unusable.run(RemoteCommand("look", script: "id", effect: .readOnly))
        } catch let found {
            error = found
        }
        #expect(error?.message.contains("hosts.yml:1:1: error: the user `u;id` holds `;`") == true)
        #expect(error?.remedy == "nothing was begun; `pawl ssh-config -i INVENTORY n1` tells the same")
    }
}

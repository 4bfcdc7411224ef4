// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The key files of a host that only a passphrase opens.
package enum EncryptedKeys {
    /// Those that would be tried, and that no agent has open.
    ///
    /// - Parameter endpoint: the host.
    /// - Returns: the paths as the endpoint names them, in the order in which they are tried.
    package static func paths(of endpoint: SSHEndpoint) -> [String] {
        guard endpoint.methods.contains(.publicKey) else { return [] }
        let isUsual = endpoint.privateKeyFiles.isEmpty && endpoint.triesUsualKeys
        let named = isUsual ? PrivateKeyFile.usual : endpoint.privateKeyFiles
        let locked = named.map { (name: $0, file: PrivateKeyFile(inspecting: $0)) }.filter {
            $0.file.state == .encrypted
        }
        guard !locked.isEmpty else { return [] }
        let open = endpoint.useAgent ? keys(ofAgentAt: endpoint.agentPath) : []
        return locked.filter { key in key.file.publicKey.map { !open.contains($0) } ?? true }.map(\.name)
    }

    /// The public keys that an agent has; none where it does not answer within some seconds.
    private static func keys(ofAgentAt path: String) -> [[UInt8]] {
        guard !path.isEmpty, let agent = try? SSHAgentClient.connected(to: path, flags: 0) else { return [] }
        defer { close(agent) }
        var limit = timeval(tv_sec: 3, tv_usec: 0)
        setsockopt(agent, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let question: [UInt8] = [0, 0, 0, 1, SSHAgentClient.listRequest]
        guard send(agent, question, question.count, sendFlags) == question.count,
            let header = bytes(4, from: agent)
        else { return [] }
        var reader = SSHWireReader(header)
        guard let length = reader.uint32(), length <= 1 << 20, let answer = bytes(Int(length), from: agent) else {
            return []
        }
        return (SSHAgentClient.identities(in: answer) ?? []).map(\.publicKey)
    }

    private static func bytes(_ count: Int, from descriptor: Int32) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        guard recv(descriptor, &bytes, count, Int32(MSG_WAITALL)) == count else { return nil }
        return bytes
    }
}

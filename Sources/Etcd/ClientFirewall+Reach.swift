// SPDX-License-Identifier: Apache-2.0

import Remote

extension ClientFirewall {
    /// What another node sees of a member's ports.
    package struct Reach: Sendable, Hashable {
        /// Client URLs to which a connection was made.
        package var clients: [String]
        /// Peer URLs to which a connection was made.
        package var peers: [String]
    }

    /// Connects from another node to the member's URLs, and sends nothing.
    ///
    /// - Parameters:
    ///   - member: as the cluster lists it; URLs of the loopback are left out, and ports that are not closed.
    ///   - ports: those that were closed.
    ///   - node: the other node.
    /// - Returns: what was reached; `nil` where the member advertises nothing that another node could reach.
    /// - Throws: what kept the node from looking.
    package static func reach(
        _ member: ListedMember,
        closed ports: [Int],
        from node: EtcdNode
    ) async throws(RemoteError) -> Reach? {
        let far = { (url: String) in
            !["//127.", "//localhost", "//[::1]", "//0.0.0.0", "//[::]"].contains { url.contains($0) }
        }
        let clients = member.clientURLs.filter { far($0) && ClientPorts.port(of: $0).map(ports.contains) == true }
        guard !clients.isEmpty else { return nil }
        let peers = member.peerURLs.filter(far)
        let lines = (clients + peers).map { "try \(ShellQuoting.quote($0))\n" }.joined()
        let script = """
            unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
            try() {
              at=$(curl -q -k -s -o /dev/null --noproxy '*' --connect-timeout 3 --max-time 4 -w '%{time_connect}' "$1" 2>/dev/null)
              case ${at:-0} in *[1-9]*) printf 'reached %s\\n' "$1" ;; esac
            }
            \(lines)exit 0

            """
        let result = try await node.host.run(
            RemoteCommand("try the ports of \(member.name)", script: script, effect: .readOnly, timeout: .seconds(45))
        )
        let reached = Set(result.output.split(separator: "\n").map { String($0.dropFirst("reached ".count)) })
        return Reach(clients: clients.filter(reached.contains), peers: peers.filter(reached.contains))
    }
}

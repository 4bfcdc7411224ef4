// SPDX-License-Identifier: Apache-2.0

/// How bytes get to a host: over TCP, or through a command.
struct SSHRoute {
    /// A way that is open.
    struct Way {
        /// Non-blocking; the caller closes it.
        var descriptor: Int32
        /// Ends when nobody holds it any more.
        var proxy: ProxyProcess?
        /// How long it waited for names of other hosts, which is not its own time.
        var waited = Duration.zero
    }

    var endpoint: SSHEndpoint
    var loop: SSHEventLoop

    func open(
        until deadline: ContinuousClock.Instant,
        isolation: isolated (any Actor)? = #isolation
    ) async throws(SSHFailure) -> Way {
        if let command = endpoint.proxyCommand {
            let (process, descriptor) = try ProxyProcess.start(command)
            return Way(descriptor: descriptor, proxy: process)
        }
        let connector = TCPConnector(
            address: endpoint.address,
            port: endpoint.port,
            family: endpoint.addressFamily,
            loop: loop
        )
        let connected = try await connector.connect(until: deadline)
        return Way(descriptor: connected.descriptor, waited: connected.waited)
    }
}

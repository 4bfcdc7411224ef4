// SPDX-License-Identifier: Apache-2.0

import Foundation

/// How many files, sockets included, this process may have open.
enum OpenFiles {
    /// What a host may take: its socket, one more to ask what its server offers, the agent's, and a proxy's.
    private static let perHost = 4
    /// What the process has open beside its hosts.
    private static let own = 40

    /// Raises the limit as far as it may be raised (setrlimit(2): to the hard limit).
    ///
    /// - Parameter width: how many hosts are to be worked on at a time.
    /// - Returns: how many of them there is room for.
    static func makeRoom(forHosts width: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return width }
        if limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max
            _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            _ = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        }
        let room = (Int(clamping: limit.rlim_cur) - own) / perHost
        return max(1, min(width, room))
    }
}

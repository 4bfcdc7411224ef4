// SPDX-License-Identifier: Apache-2.0

/// `etcdctl version`: the version of the program, which need not be that of the server.
package func parseEtcdctlVersion(_ text: String) -> EtcdVersion? {
    for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix("etcdctl version:") {
        return EtcdVersion(line.dropFirst("etcdctl version:".count).drop { $0 == " " })
    }
    return nil
}

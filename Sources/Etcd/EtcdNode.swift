// SPDX-License-Identifier: Apache-2.0

import Remote

/// One member of the inventory: the way to its node, already elevated, and how etcd is spoken to there.
package struct EtcdNode: Sendable {
    /// The name in the inventory.
    package var name: String
    package var host: any RemoteHost
    package var settings: EtcdSettings

    package init(name: String, host: any RemoteHost, settings: EtcdSettings) {
        self.name = name
        self.host = host
        self.settings = settings
    }
}

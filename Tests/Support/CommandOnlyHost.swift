// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// A node of a test that says itself what becomes of a command, and takes and gives no files.
package protocol CommandOnlyHost: RemoteHost {}

extension CommandOnlyHost {
    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        throw RemoteError(.refused, host: name, "upload to \(transfer.path): not in this test")
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        throw RemoteError(.refused, host: name, "download of \(transfer.path): not in this test")
    }

    package func elevated(as user: String) -> any RemoteHost { self }

    package func close() async {}
}

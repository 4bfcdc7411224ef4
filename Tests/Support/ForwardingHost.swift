// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote

/// A way to a node of a test that goes over another one: it says what becomes of a command, and passes on all else.
///
/// It stays in between whoever it is elevated to, as the hosts of tests run everything as one user.
package protocol ForwardingHost: RemoteHost {
    var inner: any RemoteHost { get }
}

extension ForwardingHost {
    package var name: String { inner.name }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        try await inner.upload(transfer)
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        try await inner.download(transfer)
    }

    package func elevated(as user: String) -> any RemoteHost { self }

    package func close() async { await inner.close() }
}

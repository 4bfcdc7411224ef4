// SPDX-License-Identifier: Apache-2.0

import Remote

/// Why nothing is known of a member.
///
/// Its description holds no key's value.
package struct EtcdProbeError: Error, Sendable, Hashable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String { case node, noAnswer, v2Off, denied, unparsable, tool }
        private let kind: Kind

        /// The node could not be asked; the transport says why.
        package static let node = Code(kind: .node)
        /// The node was asked, and etcd did not answer there in time.
        package static let noAnswer = Code(kind: .noAnswer)
        /// etcd runs without its v2 API, which is off by default since 3.4.0 (etcd #10935).
        package static let v2Off = Code(kind: .v2Off)
        /// etcd wants a certificate or a password that we did not show.
        package static let denied = Code(kind: .denied)
        /// An answer that is none of the known forms.
        package static let unparsable = Code(kind: .unparsable)
        /// A program on the node is missing or failed.
        package static let tool = Code(kind: .tool)

        package var description: String { kind.rawValue }
    }

    package var code: Code
    package var host: String
    package var message: String
    package var remedy: String?

    package init(_ code: Code, host: String, _ message: String, remedy: String? = nil) {
        self.code = code
        self.host = host
        self.message = message
        self.remedy = remedy
    }

    init(_ error: RemoteError) {
        self.init(.node, host: error.host, error.message, remedy: error.remedy)
    }

    package var description: String { "\(host): \(message)" + (remedy.map { " (\($0))" } ?? "") }
}

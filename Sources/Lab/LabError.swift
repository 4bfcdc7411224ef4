// SPDX-License-Identifier: Apache-2.0

/// Why a lab could not be brought up, used or taken down: what, where, why, and what to do.
package struct LabError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        private enum Kind: String {
            case options, missing, notPermitted, notALab, busy, network, boot, notReady, program, seed
        }
        private let kind: Kind

        /// The options ask for something that a lab cannot be.
        package static let options = Code(kind: .options)
        /// A program or a package that nodes are made of is not on this machine.
        package static let missing = Code(kind: .missing)
        /// This user or this kernel may not do what booted nodes need.
        package static let notPermitted = Code(kind: .notPermitted)
        /// The directory holds something else; it is left as it is.
        package static let notALab = Code(kind: .notALab)
        /// Another process works on the same lab.
        package static let busy = Code(kind: .busy)
        /// No address range or port is free, or the bridge could not be made.
        package static let network = Code(kind: .network)
        /// A node ended while it was started.
        package static let boot = Code(kind: .boot)
        /// The nodes run, and something on them did not come up in time.
        package static let notReady = Code(kind: .notReady)
        /// A program that had to succeed did not.
        package static let program = Code(kind: .program)
        /// Not all keys could be written.
        package static let seed = Code(kind: .seed)

        package var description: String { kind.rawValue }
    }

    package var code: Code
    /// What happened and where, in one line; the output of a program may follow on further lines.
    package var message: String
    /// What to do now, in one line.
    package var remedy: String?

    package init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    package var description: String { "lab: \(message)" + (remedy.map { " (\($0))" } ?? "") }
}

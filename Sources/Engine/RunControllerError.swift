// SPDX-License-Identifier: Apache-2.0

/// Why a run could not be begun or taken up, with the exit code that says so.
package struct RunControllerError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable {
        case unknownRun, nothingToDo, drift, unreachable, refused, locked
    }

    package var code: Code
    package var message: String
    package var remedy: String?

    package init(_ code: Code, _ message: String, remedy: String? = nil) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    package var exitCode: Int32 {
        switch code {
        case .unknownRun, .nothingToDo: 64
        case .locked: 5
        case .drift: 6
        case .unreachable, .refused: 4
        }
    }

    package var description: String { message + (remedy.map { " (\($0))" } ?? "") }
}

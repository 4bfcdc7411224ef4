// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal

/// From an error to the words on stderr and the exit code, which is part of the interface.
enum ExitReason {
    static let unexpected = ExitCode(1)
    static let halted = ExitCode(3)
    static let refused = ExitCode(4)
    static let locked = ExitCode(5)
    static let drift = ExitCode(6)
    static let invalidInput = ExitCode(65)
    /// The result could not be written to stdout (`EX_IOERR` of sysexits.h).
    static let outputLost = ExitCode(74)
    static let interrupted = ExitCode(130)

    /// Runs the body of a command; what it throws is said on stderr and becomes an exit code.
    ///
    /// A body that throws an exit code has an outcome beside what it prints, and keeps it where that could not be printed.
    static func reporting(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let code as ExitCode {
            sayWhatIsLost("warning")
            throw code
        } catch let error as ValidationError {
            throw error
        } catch let error as DiagnosticsError {
            say(error.description)
            throw invalidInput
        } catch let error as RunControllerError {
            say("error: \(error.description)")
            throw ExitCode(error.exitCode)
        } catch let error as JournalError {
            say("error: \(error)")
            throw exitCode(of: error.code)
        } catch {
            say("error: \(error)")
            throw unexpected
        }
        guard sayWhatIsLost("error") else { return }
        throw outputLost
    }

    @discardableResult private static func sayWhatIsLost(_ severity: String) -> Bool {
        guard let problem = StandardStream.output.problem else { return false }
        say("\(severity): not all could be written to stdout: \(problem)")
        return true
    }

    private static func exitCode(of code: JournalError.Code) -> ExitCode {
        switch code {
        case .locked: locked
        case .unknownRun, .ambiguousRun, .notFound: .validationFailure
        default: unexpected
        }
    }

    /// Messages go to stderr; stdout carries the result.
    static func say(_ text: String) {
        StandardStream.errors.write(text + "\n")
    }
}

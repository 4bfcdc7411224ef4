// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// A node on which the long command of a step runs as a job: begun once, followed over as many connections as it takes.
///
/// It stands around the guards, because beginning a job is a change and attaching to one is not. What it throws is in
/// doubt only when the node says so, or could not be asked any more.
package struct JobHost: RemoteHost {
    /// How long a node is called upon that does not answer.
    package struct Patience: Sendable {
        /// From the first call that failed; never beyond the job's own deadline and ``grace``.
        package var unreachable: Duration = .seconds(180)
        /// Between two calls; it doubles from the first to the last.
        package var firstPause: Duration = .milliseconds(250)
        package var lastPause: Duration = .seconds(5)
        /// Beyond the job's deadline, to read the end of one that took all its time.
        package var grace: Duration = .seconds(30)

        package init() {}
    }

    private let host: any RemoteHost
    private let id: JobID
    private let state: NodeState
    private let patience: Patience
    private let progress: @Sendable (String) -> Void
    private let claim: Claim

    /// A job host for one step.
    ///
    /// - Parameters:
    ///   - host: the way to the node, with its guards.
    ///   - id: of the job that a detached command becomes; there is one at most.
    ///   - state: where the node keeps it.
    ///   - patience: with a node that does not answer.
    ///   - progress: gets the last line of what the job prints, at most once a second, and what becomes of the connection.
    package init(
        _ host: any RemoteHost,
        id: JobID,
        state: NodeState,
        patience: Patience = Patience(),
        progress: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.init(host, id, state, patience, progress, Claim())
    }

    private init(
        _ host: any RemoteHost,
        _ id: JobID,
        _ state: NodeState,
        _ patience: Patience,
        _ progress: @escaping @Sendable (String) -> Void,
        _ claim: Claim
    ) {
        self.host = host
        self.id = id
        self.state = state
        self.patience = patience
        self.progress = progress
        self.claim = claim
    }

    package var name: String { host.name }

    /// Runs a command; a detached one as the job.
    ///
    /// - Precondition: a detached command has no standard input.
    package func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        guard command.isDetached else { return try await host.run(command) }
        precondition(command.standardInput.isEmpty, "a job has no standard input")
        guard claim.take() else {
            // Under one id the second would be taken for the first.
            throw RemoteError(.refused, host: name, "\(command.label): the step has another job already")
        }
        let deadline = ContinuousClock.now + command.timeout + patience.grace
        let end: JobState
        do {
            end = try await tell { script in
                var begin = script.begin(command)
                begin.label = command.label
                return begin
            }
        } catch  where !error.isNotBegun && !Task.isCancelled {
            progress("connection lost (\(error.message)); connecting again")
            end = try await attach(until: deadline, lost: error)
        }
        switch end {
        case .ended(let result): return result
        case .notBegun(let why):
            throw RemoteError(.unreachable, host: name, "\(command.label): not begun: \(why)", remedy: "try again")
        case .running: throw doubt(command.label, "no end was seen within \(command.timeout.inWords)")
        case .inDoubt(let why): throw doubt(command.label, why)
        }
    }

    /// Finds out what became of the job, after its end when it is running.
    ///
    /// When it was not begun, it never will be under this id.
    ///
    /// - Parameter timeout: how long to wait for the end of a job that is running.
    /// - Returns: its state; `running` when the time was not enough.
    /// - Throws: ``RemoteError`` when the node cannot be asked.
    package func settle(within timeout: Duration) async throws(RemoteError) -> JobState {
        try await attach(until: .now + timeout, lost: nil)
    }

    package func upload(_ transfer: FileTransfer) async throws(RemoteError) {
        try await host.upload(transfer)
    }

    package func download(_ transfer: FileTransfer) async throws(RemoteError) {
        try await host.download(transfer)
    }

    package func elevated(as user: String) -> any RemoteHost {
        JobHost(host.elevated(as: user), id, state, patience, progress, claim)
    }

    package func close() async { await host.close() }

    // MARK: - Following

    /// Calls upon the node until it says what became of the job.
    private func attach(
        until deadline: ContinuousClock.Instant,
        lost: RemoteError?
    ) async throws(RemoteError) -> JobState {
        var silentSince = ContinuousClock.now
        var pause = patience.firstPause
        while true {
            let called = ContinuousClock.now
            guard called < deadline else { return .running }
            do {
                return try await tell { script in script.attach(waits: true, timeout: deadline - called) }
            } catch  where Self.mayPass(error) && !Task.isCancelled {
                let now = ContinuousClock.now
                // The node was there for a while, so the count begins anew.
                if error.code == .inDoubt, now - called > patience.unreachable / 4 { silentSince = now }
                guard now - silentSince < patience.unreachable, now + pause < deadline else {
                    throw lost.map { doubt(id.directoryName, "\($0.message); then: \(error.message)") } ?? error
                }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, patience.lastPause)
            }
        }
    }

    /// Whether calling again may help: a node that comes up refuses logins for a while.
    private static func mayPass(_ error: RemoteError) -> Bool {
        [.unreachable, .shell, .inDoubt, .transfer, .authentication].contains(error.code)
    }

    /// Runs a command about the job, and reads what it says of it.
    private func tell(_ command: (JobScript) -> RemoteCommand) async throws(RemoteError) -> JobState {
        let script = JobScript(id: id, state: state, nonce: Self.nonce())
        let listener = JobListener(nonce: script.nonce, progress)
        var command = command(script)
        command.onOutput = { listener.take($0) }
        let result = try await host.run(command)
        switch JobReport(result, nonce: script.nonce) {
        case .state(let state): return state
        case .refused(let why):
            throw RemoteError(
                .refused,
                host: name,
                "\(command.label): not begun: \(why)",
                remedy: "put that right on the node, or set \(NodeState.variable) to another directory"
            )
        case nil:
            let said = result.errorOutput.split(whereSeparator: \.isNewline).suffix(3).joined(separator: " / ")
            throw doubt(
                command.label,
                "its state was not told (exit code \(result.exitCode))" + (said.isEmpty ? "" : ": \(said)")
            )
        }
    }

    private func doubt(_ label: String, _ what: String) -> RemoteError {
        RemoteError(
            .inDoubt,
            host: name,
            "\(label): \(what)",
            remedy: "`pawl resume` looks at the job \(id) on the node, and waits for its end when it still runs"
        )
    }

    private static func nonce() -> String {
        var random = SystemRandomNumberGenerator()
        return String(random.next(), radix: 36) + String(random.next(), radix: 36)
    }

    /// That the step's one job was begun in this process.
    private final class Claim: Sendable {
        private let isTaken = Mutex(false)

        func take() -> Bool {
            isTaken.withLock { isTaken in
                defer { isTaken = true }
                return !isTaken
            }
        }
    }
}

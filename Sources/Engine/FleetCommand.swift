// SPDX-License-Identifier: Apache-2.0

import Fleet
import Remote

/// One command line on many hosts: `pawl exec`.
///
/// It may change the nodes, so it is sent to each once and never again: where its end was not seen it is in doubt. There
/// is no plan, no journal and no lock.
package struct FleetCommand: Sendable {
    /// What is to be run where.
    package struct Request: Sendable {
        package var inventory: InventorySources
        package var limit: String?
        package var extraVariables: [String]
        /// Handed to `/bin/sh` as it is.
        package var commandLine: String
        /// Whom it runs as where the inventory leaves it open.
        package var become: RequestedBecome
        /// How long it may take on one host, from its start to its end.
        package var timeout: Duration

        package init(
            inventory: InventorySources,
            limit: String?,
            extraVariables: [String],
            commandLine: String,
            become: RequestedBecome,
            timeout: Duration
        ) {
            self.inventory = inventory
            self.limit = limit
            self.extraVariables = extraVariables
            self.commandLine = commandLine
            self.become = become
            self.timeout = timeout
        }
    }

    /// What a command that was seen to end has said.
    package struct Reply: Sendable, Hashable {
        package var exitCode: Int
        package var standardOutput: [UInt8]
        package var standardError: [UInt8]

        package init(exitCode: Int, standardOutput: [UInt8] = [], standardError: [UInt8] = []) {
            self.exitCode = exitCode
            self.standardOutput = standardOutput
            self.standardError = standardError
        }
    }

    /// What became of it on a host.
    package enum Outcome: Sendable {
        case ended(Reply)
        case failed(RemoteError)
        /// The whole was interrupted before it was sent.
        case notBegun
    }

    /// What became of it on one host, and how long that took.
    package struct Answer: Sendable {
        package var host: String
        package var outcome: Outcome
        package var duration: Duration

        package init(host: String, outcome: Outcome, duration: Duration = .zero) {
            self.host = host
            self.outcome = outcome
            self.duration = duration
        }
    }

    /// The hosts in inventory order.
    package var hosts: [String] { ways.map(\.name) }

    private let ways: [any RemoteHost]
    private let command: RemoteCommand

    /// Contacts nothing.
    ///
    /// - Parameters:
    ///   - request: what is to be run where.
    ///   - connector: makes the ways to the hosts.
    /// - Throws: what is wrong with the inventory.
    package init(_ request: Request, connector: HostDirectory.Connector) throws(DiagnosticsError) {
        ways = try InspectedHost.all(
            inventory: request.inventory,
            limit: request.limit,
            extraVariables: request.extraVariables,
            become: request.become,
            connector: connector
        ).map(\.host)
        command = RemoteCommand(
            "the command",
            script: request.commandLine,
            effect: .mutating,
            timeout: request.timeout
        )
    }

    /// Runs the command on all hosts.
    ///
    /// When the task is cancelled no further host is begun, and those at work are given up: they are in doubt.
    ///
    /// - Parameters:
    ///   - fanOut: how many hosts at a time.
    ///   - onEnd: gets each answer as it comes in, with the host's place in ``hosts``.
    package func run(_ fanOut: FanOut, onEnd: (Int, Answer) async -> Void) async {
        var isThere = [Bool](repeating: false, count: ways.count)
        let command = command
        await fanOut.forEach(of: ways) {
            await Self.run(command, on: $0)
        } onEnd: { index, answer in
            isThere[index] = true
            await onEnd(index, answer)
        }
        for (index, host) in hosts.enumerated() where !isThere[index] {
            await onEnd(index, Answer(host: host, outcome: .notBegun))
        }
    }

    private static func run(_ command: RemoteCommand, on host: any RemoteHost) async -> Answer {
        let started = ContinuousClock.now
        let outcome: Outcome
        do throws(RemoteError) {
            let result = try await host.run(command)
            outcome = .ended(
                Reply(
                    exitCode: result.exitCode,
                    standardOutput: result.standardOutput,
                    standardError: result.standardError
                )
            )
        } catch {
            outcome = Task.isCancelled && error.isNotBegun ? .notBegun : .failed(error)
        }
        let duration = ContinuousClock.now - started
        // A session costs memory here and a process there, and nothing more is asked of this host.
        await host.close()
        return Answer(host: host.name, outcome: outcome, duration: duration)
    }
}

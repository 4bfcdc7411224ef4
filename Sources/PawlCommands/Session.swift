// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Journal
import Remote
import Reports
import Rollout

/// What the commands share: the ways to hosts, the journal, the view that the options ask for.
struct Session: Sendable {
    let output: OutputOptions.Format
    let isVerbose: Bool
    private let ways: SSHConnector
    private let secrets: GivenSecrets
    /// The options that say how hosts are reached, for commands that are printed.
    private let connectionWords: String

    /// Reads the SSH configuration and the passwords, and asks for those that are to be asked for.
    ///
    /// - Parameters:
    ///   - options: how things are shown.
    ///   - connection: what says how hosts are reached; nil where none is.
    /// - Throws: what is wrong with the SSH configuration or a password.
    init(_ options: OutputOptions, _ connection: ConnectionOptions?) throws(DiagnosticsError) {
        output = options.format
        isVerbose = options.verbose
        let context = SSHConfigContext.current.remembering()
        ways = SSHConnector(configuration: try SSHConfig(connection?.ssh.source ?? .none, context: context))
        secrets = try connection?.passwords.given() ?? GivenSecrets()
        connectionWords = connection?.words ?? ""
    }

    /// Makes the way to a host over SSH; with `-v` each remote command is said on stderr.
    var connector: HostDirectory.Connector {
        { [isVerbose, ways, secrets] settings in
            let host = ways.host(secrets.completing(settings))
            return isVerbose ? TracedHost(host) { ExitReason.say($0) } : host
        }
    }

    /// Asks nobody for a passphrase from now on: hosts are at work.
    func endQuestions() { ways.endQuestions() }

    func store(
        _ options: StateOptions,
        for access: SQLiteRunStore.Access
    ) async throws(JournalError) -> any RunStore {
        let store = try await SQLiteRunStore.open(options.directory, for: access)
        for path in SQLiteRunStore.unwrittenRecords(in: options.directory) {
            ExitReason.say(
                "warning: \(path) holds what the journal could not take when its disk was full; `pawl resume` asks the "
                    + "nodes about it, and when the run has ended the file may be removed"
            )
        }
        return store
    }

    func controller(
        _ store: any RunStore,
        _ state: StateOptions,
        grace: Duration = RunEngine.defaultGrace
    ) -> RunController {
        RunController(
            store: store,
            connector: connector,
            stateArguments: String((state.words + connectionWords).dropFirst()),
            version: PawlCommand.version,
            grace: grace
        )
    }

    /// A command of this session as it would be typed again.
    func commandLine(_ command: String, _ request: RunRequest, _ state: StateOptions) -> String {
        "pawl \(command) " + ShellQuoting.line(request.words) + state.words + connectionWords
    }

    /// The view of a run that suits stdout.
    func view(of plan: Plan, done: Set<StepID> = []) -> any RunView {
        let traits = Terminal.traits
        return switch output {
        case .json: JSONLinesView(sink: Terminal.write)
        case .text where traits.allowsLiveView && !isVerbose:
            LiveView(
                .init(sink: Terminal.write, size: { Terminal.size }),
                style: traits.style,
                plan: plan.steps,
                done: done
            )
        case .text: PlainView(sink: Terminal.write)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import Rollout

/// `wait_for`: waits on the node until a line succeeds, a port is open or a path is there.
///
/// The node polls by itself, in one command: a poll over SSH each second would cost more than what it looks at.
package struct WaitFor: Action {
    enum Condition: Sendable, Equatable {
        case line(String)
        case port(Int, host: String)
        case path(String)
    }

    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "wait_for",
        summary: "Waits until a line of shell succeeds, a TCP port is open, or a path is there. Give exactly one.",
        parameters: [
            .init("run", .string, "A line that only looks; exit code 0 ends the waiting."),
            .init("port", .integer(1...65_535), "A TCP port that must accept a connection, made from the node."),
            .init("path", .path, "A path that must be there."),
            .init("host", .string, default: .string("127.0.0.1"), "The name or address that `port` belongs to."),
            .init("within", .duration, default: .int(60), "How long to wait at most."),
            .init("every", .duration, default: .int(1), "The time between two looks."),
        ],
        example: """
            name: etcd listens
            wait_for: { port: 2379, within: 2m }
            """
    )

    package let traits: ActionTraits
    private let condition: Condition
    private let within: Duration
    private let every: Duration
    /// The time that starting and ending the poll may take on top.
    private static let margin = Duration.seconds(10)

    package init(_ parameters: Parameters) throws(ActionFailure) {
        let given = ["run", "port", "path"].filter { name in
            parameters.string(name) != nil || parameters.integer(name) != nil
        }
        guard given.count == 1 else {
            let found = given.isEmpty ? "none" : given.joined(separator: " and ")
            throw ActionFailure("wait_for: exactly one of run, port and path must be given, found \(found)")
        }
        let host = parameters.string("host") ?? "127.0.0.1"
        guard host.wholeMatch(of: /[A-Za-z0-9_:][A-Za-z0-9_.:%-]*/) != nil else {
            throw ActionFailure("wait_for: `host: \(host)` is neither a name nor an address")
        }
        if let line = parameters.string("run") {
            condition = .line(line)
        } else if let path = parameters.string("path") {
            condition = .path(path)
        } else {
            condition = .port(parameters.integer("port") ?? 0, host: host)
        }
        within = parameters.duration("within") ?? .seconds(60)
        every = parameters.duration("every") ?? .seconds(1)
        guard within >= .seconds(1) else { throw ActionFailure("wait_for: `within` must be one second or more") }
        guard every >= .milliseconds(50) else {
            throw ActionFailure("wait_for: `every` must be 50 ms or more", remedy: "each look starts a process")
        }
        traits = ActionTraits(effect: .readOnly, defaultTimeout: within + Self.margin)
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        .notBegun("it only looks")
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        let host = try context.requiredHost(for: Self.schema.word)
        // A step's own timeout may be shorter than `within`; the node must give up before the transport does.
        let limit = max(1, Int(min(within, max(.seconds(1), context.timeout - .seconds(2))).components.seconds))
        let poll = WaitPoll(condition: condition, every: every, limit: limit)
        context.progress("waiting until \(condition.description), for \(DurationText.of(.seconds(limit))) at most")
        let command = RemoteCommand(
            "wait until \(condition.description)",
            script: poll.script,
            effect: .readOnly,
            timeout: .seconds(limit) + Self.margin
        )
        let result: CommandResult
        do {
            result = try await host.run(command)
        } catch {
            throw ActionFailure(error)
        }
        let outcome = WaitPoll.Outcome(result)
        if result.exitCode == WaitPoll.noProbeCode {
            throw ActionFailure(
                "cannot look at ports: the node has neither bash nor nc nor a curl with telnet",
                remedy: "install one of them, or use `run` with a program that is there"
            )
        }
        guard result.exitCode == 0, outcome.hasSucceeded else {
            throw failure(outcome, errors: result.errorOutput, after: .seconds(limit))
        }
        return Evidence(
            "\(condition.description): seen at look \(outcome.tries)",
            ["looks": String(outcome.tries), "seconds": DurationText.seconds(result.duration)]
        )
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        throw ActionFailure("wait_for changes nothing, so there is nothing to take back")
    }

    private func failure(_ outcome: WaitPoll.Outcome, errors: String, after limit: Duration) -> ActionFailure {
        let code = outcome.lastCode.map { ", the last with exit code \($0)" } ?? ""
        let looks = "\(outcome.tries) \(outcome.tries == 1 ? "look" : "looks")\(code)"
        return ActionFailure(
            "waited \(DurationText.of(limit)) in vain until \(condition.description) (\(looks))"
                + CommandLineRun.excerpt("last output", outcome.lastOutput)
                + CommandLineRun.excerpt("stderr", errors),
            remedy: condition.remedy
        )
    }
}

extension WaitFor.Condition: CustomStringConvertible {
    var description: String {
        switch self {
        case .line(let line): "\(CommandLineRun.title(of: line)) ends with exit code 0"
        case .port(let port, let host): "port \(port) of \(host) is open"
        case .path(let path): "\(path) is there"
        }
    }

    fileprivate var remedy: String {
        switch self {
        case .line: "run the line on the node by hand, or give a longer `within`"
        case .port: "look whether the service runs and on which addresses it listens, or give a longer `within`"
        case .path: "look whether what makes the path runs, or give a longer `within`"
        }
    }
}

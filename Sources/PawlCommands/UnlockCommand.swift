// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Engine
import Fleet
import Foundation
import Journal
import Remote

/// `pawl unlock`: takes the lock from a controller that is gone for good.
struct UnlockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "unlock",
        abstract: "Takes the lock of a cluster from a controller that is gone for good.",
        discussion: """
            A lock does not expire. `pawl resume` takes over by itself what it can prove to be dead, which is a \
            controller of the same machine; any other needs this decision. It is noted on the nodes, in the file \
            `unlocks` of their state directory, and in the run's journal where that is here. Should the old controller \
            come back, each node refuses what it orders.
            """
    )

    @OptionGroup var inventory: InventoryOptions
    @OptionGroup var variables: VariableOptions
    @OptionGroup var state: StateOptions
    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions
    @Option(name: .long, help: "Why; it is noted on the nodes with your name and the time.") var reason: String
    @Flag(name: .long, help: "Do not ask.") var yes = false
    @Flag(name: .long, help: "Look as the login user: the run's playbook does not say `become`.") var noBecome = false

    mutating func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("Say why: --reason TEXT") }
    }

    func run() async throws {
        try await ExitReason.reporting {
            guard yes || Terminal.isInteractive else {
                throw ValidationError("Without a terminal nobody can be asked: add --yes to take the lock over.")
            }
            let session = try Session(output, connection)
            let unlock = try ClusterUnlock(
                inventory: inventory.sources,
                limit: inventory.limit,
                extraVariables: variables.extraVars,
                become: !noBecome,
                connector: session.connector
            )
            let findings = try await unlock.look()
            if session.output == .text { Terminal.write(Self.text(findings)) }
            guard let holder = findings.holder else {
                if session.output == .json { Terminal.write(try Self.line(nil)) }
                for (host, why) in findings.survey.failures.sorted(by: { $0.key < $1.key }) {
                    ExitReason.say("\(host): could not be looked at: \(why)")
                }
                await unlock.close()
                return
            }
            if !yes, !Confirmation.ask("Take it over? What that controller began may still be at work on a node.") {
                throw ExitReason.refused
            }
            let report = try await unlock.takeOver(
                holder,
                findings,
                reason: reason,
                journal: await journal(of: holder.key.run)
            )
            await unlock.close()
            for warning in report.warnings { ExitReason.say("warning: \(warning)") }
            Terminal.write(session.output == .json ? try Self.line(report) : Self.text(report))
        }
    }

    /// The journal of this state directory, when it holds the run.
    private func journal(of run: String) async -> (any RunStore)? {
        guard let known = try? await SQLiteRunStore.open(state.directory, for: .reading),
            (try? await known.run(run)) != nil
        else { return nil }
        await known.close()
        return try? await SQLiteRunStore.open(state.directory, for: .writing)
    }

    // MARK: - Words

    private static func text(_ findings: ClusterUnlock.Findings) -> String {
        guard let holder = findings.holder else { return "nobody holds the lock\n" }
        let lines = findings.hosts.map { host in
            let word =
                if let sight = findings.survey.sights[host] {
                    sight.lock == nil ? "free" : "held"
                } else {
                    "not reached: \(findings.survey.failures[host] ?? "no answer")"
                }
            return "  \(host): \(word)\n"
        }
        let atWork =
            switch findings.isAtWork {
            case true?: "\nIts process is at work on this machine.\n"
            case false?: "\nIts process is gone.\n"
            case nil: "\nWhether it is at work cannot be known from here.\n"
            }
        return "held by \(holder)\n" + lines.joined() + atWork
    }

    private static func text(_ report: ClusterUnlock.Report) -> String {
        let journal = report.isJournalled ? "; noted in its journal here" : ""
        return
            "taken from run \(report.holder.key.run) on \(report.hosts.joined(separator: ", ")), and free now\(journal)\n"
            + "Where the run is journalled, go on with: pawl resume \(report.holder.key.run)\n"
    }

    private static func line(_ report: ClusterUnlock.Report?) throws -> String {
        struct Line: Encodable {
            var unlocked: Bool
            var run: String?
            var owner: String?
            var host: String?
            var since: String?
            var nodes: [String]?
            var journalled: Bool?
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let line = Line(
            unlocked: report != nil,
            run: report?.holder.key.run,
            owner: report?.holder.controller.owner,
            host: report?.holder.controller.host,
            since: report?.holder.since,
            nodes: report?.hosts,
            journalled: report?.isJournalled
        )
        return String(decoding: try encoder.encode(line), as: UTF8.self) + "\n"
    }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Playbooks
import Remote
import Rollout

/// `command`: runs any line of shell on a node, judged by what the playbook says success is.
///
/// pawl cannot know what the line does. So what may be done after a lost end is said by the playbook (`redo`), and what
/// proves that the work is in place as well (`creates`).
package struct Command: Action {
    /// What resume may do with a line whose end nobody saw.
    private enum Redo: String, CaseIterable {
        case safe
        case afterUndo = "after-undo"
        case never
    }

    package static let scope = ActionScope.host
    package static let schema = ActionSchema(
        word: "command",
        summary: "Runs a line of shell on the node and judges its exit code and its output.",
        parameters: [
            .init(
                "run",
                .string,
                required: true,
                "The line; /bin/sh runs it with empty standard input. When the step may take over a minute, it goes on without the "
                    + "connection and without pawl, and resume waits for its end."
            ),
            .init("as", .string, "The user that runs it, by runuser as root and by sudo -n or doas -n otherwise."),
            .init(
                "success",
                .group([
                    .init("exit", .integer(0...255), default: .int(0), "The exit code of success."),
                    .init("stdout", .string, "A text that standard output must hold."),
                    .init("stdout_not", .string, "A text that standard output must not hold."),
                    .init("stderr", .string, "A text that standard error must hold."),
                    .init("stderr_not", .string, "A text that standard error must not hold."),
                ]),
                "What success looks like; without it, exit code 0."
            ),
            .init(
                "redo",
                .choice(Redo.allCases.map(\.rawValue)),
                default: .string(Redo.never.rawValue),
                "What resume may do with it when nobody saw its end: run it again (safe), run it again after its undo "
                    + "(after-undo), or halt (never)."
            ),
            .init("undo", .string, "The line that takes the work back; exit code 0 is its success."),
            .init(
                "creates",
                .path,
                "A path that is there when the work is done and not before. Resume takes a step whose end nobody saw for "
                    + "done when it is there; so leave it out for a line that makes it before its end."
            ),
        ],
        shorthand: "run",
        example: """
            name: Migrate
            command:
              run: /usr/local/bin/migrate --data-dir /var/lib/etcd
              as: etcd
              success: { exit: 0, stdout: finished, stderr_not: waiting for }
              redo: never
              creates: /var/lib/etcd/member/snap/db
            timeout: 30m
            """
    )

    package let traits: ActionTraits
    private let line: String
    private let user: String?
    private let undoLine: String?
    private let createdPath: String?
    private let expectation: Expectation

    private var title: String { CommandLineRun.title(of: line) }

    package init(_ parameters: Parameters) throws(ActionFailure) {
        guard let line = parameters.string("run") else {
            throw ActionFailure("command: `run` is empty", remedy: "give the line that /bin/sh is to run")
        }
        self.line = line
        user = parameters.string("as")
        undoLine = parameters.string("undo")
        createdPath = parameters.string("creates")
        expectation = Expectation(parameters.group("success") ?? Parameters([:]))
        if let user, !Self.isUserName(user) {
            throw ActionFailure("command: `as: \(user)` is not the name of a user")
        }
        let word = parameters.string("redo") ?? Redo.never.rawValue
        guard let redo = Redo(rawValue: word) else {
            let words = Redo.allCases.map(\.rawValue).joined(separator: ", ")
            throw ActionFailure("command: `redo: \(word)` is not one of \(words)")
        }
        if redo == .afterUndo, undoLine == nil {
            throw ActionFailure(
                "command: `redo: after-undo` needs `undo`",
                remedy: "give the line that takes the work back, or write `redo: never`"
            )
        }
        traits = ActionTraits(
            effect: redo == .safe ? .repeatable : .once,
            hasUndo: undoLine != nil,
            mayRedoAfterUndo: redo != .never,
            defaultTimeout: .seconds(600),
            job: .over(.seconds(60))
        )
    }

    package func observe(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        switch context.job {
        case .notBegun(let why): return .notBegun(why)
        case .running: return .inDoubt("\(title) is still running on the node")
        case .ended(let result): return try await observe(result, context)
        case .inDoubt(let why):
            let shown = try await observePath(context)
            if case .inDoubt(let what) = shown { return .inDoubt("\(why); \(what)") }
            return shown
        case nil: return try await observePath(context)
        }
    }

    /// A line whose end is on record is judged as if its end had been seen.
    private func observe(_ result: CommandResult, _ context: ActionContext) async throws(ActionFailure) -> Observation {
        do {
            return .done(try await judge(result, context))
        } catch {
            return .inDoubt(error.message)
        }
    }

    private func observePath(_ context: ActionContext) async throws(ActionFailure) -> Observation {
        guard let createdPath else {
            return switch traits.effect {
            case .once:
                .inDoubt("nothing tells whether \(title) has run: give `creates` a path that it makes")
            case .repeatable, .readOnly:
                .notBegun("nothing tells whether \(title) has run, and it may run again")
            }
        }
        switch try await presence(of: createdPath, in: context) {
        case .present: return .done(Evidence("\(createdPath) is there", ["creates": createdPath]))
        case .absent where traits.effect == .once:
            // A line that was killed half-way may have done anything but this.
            return .inDoubt("\(createdPath) is not there, and \(title) may have ended before it made it")
        case .absent: return .notBegun("\(createdPath) is not there")
        case .unknown(let why): return .inDoubt("cannot tell whether \(createdPath) is there: \(why)")
        }
    }

    package func perform(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        try await judge(try await run(line, context), context)
    }

    /// What the end of the line proves.
    private func judge(_ result: CommandResult, _ context: ActionContext) async throws(ActionFailure) -> Evidence {
        try requireEnd(of: result, line, context)
        let output = Self.output(of: result)
        if let complaint = expectation.complaint(about: result) {
            throw ActionFailure("\(title): \(complaint)" + output)
        }
        var values = [
            "exit_code": String(result.exitCode),
            "stdout_bytes": String(result.standardOutput.count),
            "stderr_bytes": String(result.standardError.count),
        ]
        var proofs = ["exit code \(result.exitCode)"] + expectation.proofs
        if let createdPath {
            guard try await presence(of: createdPath, in: context) == .present else {
                throw ActionFailure(
                    "\(title): exit code \(result.exitCode), but \(createdPath) is not there" + output,
                    remedy: "`creates` must name a path that the line makes"
                )
            }
            values["creates"] = createdPath
            proofs.append("\(createdPath) is there")
        }
        return Evidence(proofs.joined(separator: ", "), values)
    }

    package func undo(_ context: ActionContext) async throws(ActionFailure) -> Evidence {
        guard let undoLine else {
            throw ActionFailure("\(title) has no `undo`", remedy: "take its work back by hand")
        }
        let result = try await run(undoLine, context)
        try requireEnd(of: result, undoLine, context)
        guard result.exitCode == 0 else {
            throw ActionFailure(
                "undo \(CommandLineRun.title(of: undoLine)): exit code \(result.exitCode)" + Self.output(of: result)
            )
        }
        if let createdPath, try await presence(of: createdPath, in: context) != .absent {
            throw ActionFailure(
                "undo \(CommandLineRun.title(of: undoLine)): exit code 0, but \(createdPath) is still there",
                remedy: "`undo` must take away what `creates` names, or resume would take the work for done"
            )
        }
        return Evidence("taken back: \(CommandLineRun.title(of: undoLine)) ended with exit code 0", ["exit_code": "0"])
    }

    /// Runs a line to an end that was seen.
    private func run(_ line: String, _ context: ActionContext) async throws(ActionFailure) -> CommandResult {
        let host = try context.requiredHost(for: Self.schema.word)
        let run = CommandLineRun(line: line, user: user, timeout: context.timeout)
        var command = run.command("command: \(CommandLineRun.title(of: line))", effect: .mutating)
        command.isDetached = context.isJob
        do {
            return try await host.run(command)
        } catch {
            throw ActionFailure(error)
        }
    }

    /// A line that was killed leaves nobody knowing what it did.
    private func requireEnd(
        of result: CommandResult,
        _ line: String,
        _ context: ActionContext
    ) throws(ActionFailure) {
        let title = CommandLineRun.title(of: line)
        let run = CommandLineRun(line: line, user: user, timeout: context.timeout)
        switch run.end(of: result) {
        case .exited: return
        case .killed where result.exitCode == expectation.exitCode: return
        case .killed(let signal):
            throw ActionFailure(
                "\(title) was ended by signal \(signal)" + Self.output(of: result),
                remedy: "look on the node what it has done",
                isInDoubt: true
            )
        case .timedOut:
            throw ActionFailure(
                "\(title) did not end within \(run.nodeLimit)s and was ended" + Self.output(of: result),
                remedy: "look on the node what it has done; the step's `timeout` may be too short",
                isInDoubt: true
            )
        }
    }

    private func presence(
        of path: String,
        in context: ActionContext
    ) async throws(ActionFailure) -> PathPresence {
        try await PathPresence.of(path, on: try context.requiredHost(for: Self.schema.word))
    }

    private static func output(of result: CommandResult) -> String {
        CommandLineRun.excerpt("stdout", result.output) + CommandLineRun.excerpt("stderr", result.errorOutput)
    }

    /// What useradd(8) and systemd accept; above all, no word that `sudo` would take for an option.
    private static func isUserName(_ name: String) -> Bool {
        name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_.-]*\$?/) != nil
    }
}

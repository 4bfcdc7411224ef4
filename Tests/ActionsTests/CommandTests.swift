// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Darwin)
import Darwin
#endif

struct CommandTests {
    private func command(_ line: String, _ more: [String: Value] = [:]) throws(ActionFailure) -> Command {
        try Command(Parameters(more.merging(["run": .string(line)]) { given, _ in given }))
    }

    // MARK: - What counts as success

    @Test func `exit code 0 is success, and the evidence names it`() async throws {
        try await GenericActionBench.with { bench in
            let evidence = try await command("echo hello").perform(bench.context())
            #expect(evidence.summary == "exit code 0")
            #expect(evidence.values == ["exit_code": "0", "stdout_bytes": "6", "stderr_bytes": "0"])
        }
    }

    @Test func `another exit code is a failure with the last lines of the output`() async throws {
        try await GenericActionBench.with { bench in
            let line = "i=0; while [ $i -lt 30 ]; do i=$((i+1)); echo line $i; done; echo bad >&2; exit 7"
            let failure = try await thrown(
                try await command(line).perform(bench.context())
            )
            let expected =
                "`\(line)`: exit code 7, where success is 0\nstdout (last 20 of 30 lines):\n"
                + (11...30).map { "  line \($0)\n" }.joined() + "stderr:\n  bad"
            #expect(failure?.message == expected)
            #expect(failure?.isInDoubt == false)
        }
    }

    @Test(
        arguments: [
            (["exit": Value.int(7)], "exit code 0, where success is 7"),
            (["stdout": .string("lost")], "exit code 0, but stdout does not hold \"lost\""),
            (["stdout_not": .string("out")], "exit code 0, but stdout holds \"out\""),
            (["stderr": .string("lost")], "exit code 0, but stderr does not hold \"lost\""),
            (
                ["stderr_not": .string("waiting for"), "stdout": .string("x")],
                "exit code 0, but stdout does not hold \"x\"; stderr holds \"waiting for\""
            ),
        ]
    )
    func `what the playbook asks of the output is judged`(success: [String: Value], complaint: String) async throws {
        try await GenericActionBench.with { bench in
            let action = try command("echo out; echo waiting for lock >&2", ["success": .map(success)])
            let failure = try await thrown(try await action.perform(bench.context()))
            let line = failure?.message.split(separator: "\n").first.map(String.init)
            #expect(line == "`echo out; echo waiting for lock >&2`: \(complaint)")
        }
    }

    @Test func `what was asked of the output is named in the evidence`() async throws {
        try await GenericActionBench.with { bench in
            let success: [String: Value] = [
                "exit": .int(3), "stdout": .string("finished"), "stderr_not": .string("waiting"),
            ]
            let evidence = try await command("echo finished; exit 3", ["success": .map(success)])
                .perform(bench.context())
            #expect(
                evidence.summary == "exit code 3, stdout holds \"finished\", stderr does not hold \"waiting\""
            )
        }
    }

    @Test func `a line with odd characters reaches the shell as it is`() async throws {
        try await GenericActionBench.with { bench in
            let text = #"it's a "$HOME" `id` \ * ; & | ü "#
            let line = "printf %s '" + text.replacing("'", with: #"'\''"#) + "'"
            let user = String(cString: getpwuid(getuid()).pointee.pw_name)
            for more in [[:], ["as": Value.string(user)]] {
                var parameters: [String: Value] = more
                parameters["success"] = .map(["stdout": .string(text)])
                let evidence = try await command(line, parameters).perform(bench.context())
                #expect(evidence.values["stdout_bytes"] == String(text.utf8.count))
            }
        }
    }

    @Test func `a line of several lines is named by its first`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(try await command("set -e\nfalse\necho no").perform(bench.context()))
            #expect(failure?.message == "`set -e …`: exit code 1, where success is 0")
        }
    }

    @Test func `standard input is empty, whatever the shell's own is`() async throws {
        try await GenericActionBench.with { bench in
            try bench.write("the rest of pawl's script", to: "input")
            let prelude = "exec <\"\(bench.path("input"))\"\n"
            let user = String(cString: getpwuid(getuid()).pointee.pw_name)
            for more in [[:], ["as": Value.string(user)]] {
                let evidence = try await command("cat", more).perform(bench.context(prelude: prelude))
                #expect(evidence.values["stdout_bytes"] == "0")
            }
        }
    }

    // MARK: - Ends that nobody saw

    @Test func `a line that is killed is in doubt`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await command("echo begun; kill -9 $$").perform(bench.context())
            )
            // The shell may say `Killed` on its standard error on top.
            let expected = "`echo begun; kill -9 $$` was ended by signal 9\nstdout:\n  begun"
            #expect(failure?.message.hasPrefix(expected) == true)
            #expect(failure?.isInDoubt == true)
            #expect(failure?.remedy == "look on the node what it has done")
        }
    }

    @Test func `a line that takes too long is ended on the node and is in doubt`() async throws {
        try await GenericActionBench.with { bench in
            let line = "echo $$ > \"\(bench.path("pid"))\"; sleep 300; true"
            let failure = try await thrown(
                try await command(line).perform(bench.context(timeout: .seconds(8)))
            )
            #expect(failure?.message == "`\(line)` did not end within 6s and was ended")
            #expect(failure?.isInDoubt == true)
            let pid = try String(contentsOfFile: bench.path("pid"), encoding: .utf8)
                .trimmingCharacters(in: .whitespacesAndNewlines)
            #expect(kill(try #require(pid_t(pid)), 0) == -1, "the line still runs")
        }
    }

    @Test func `a line that ends with 124 by itself was not timed out`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await command("exit 124").perform(bench.context())
            )
            #expect(failure?.message == "`exit 124`: exit code 124, where success is 0")
            #expect(failure?.isInDoubt == false)
        }
    }

    // MARK: - Jobs

    @Test(arguments: ["safe", "never"])
    func `a job that has ended is judged by its end, and not run again`(redo: String) async throws {
        try await GenericActionBench.with { bench in
            let line = "echo x >'\(bench.path("log"))'"
            let action = try command(
                line,
                ["redo": .string(redo), "success": .map(["exit": .int(3), "stdout": .string("finished")])]
            )
            var context = bench.context()
            func observed(_ code: Int, _ output: String) async throws -> Observation {
                context.job = .ended(
                    CommandResult(
                        exitCode: code,
                        standardOutput: Array(output.utf8),
                        standardError: [],
                        duration: .seconds(2)
                    )
                )
                return try await action.observe(context)
            }
            guard case .done(let evidence) = try await observed(3, "finished") else {
                Issue.record("not done")
                return
            }
            #expect(evidence.summary == "exit code 3, stdout holds \"finished\"")
            for (code, output, why) in [
                (0, "finished", "exit code 0"), (3, "", "does not hold"), (137, "", "signal 9"),
            ] {
                guard case .inDoubt(let text) = try await observed(code, output) else {
                    Issue.record("\(code) is taken for done")
                    continue
                }
                #expect(text.contains(why))
            }
            context.job = .notBegun("it was called off before it began")
            #expect(try await action.observe(context) == .notBegun("it was called off before it began"))
            #expect(!bench.exists("log"))
        }
    }

    @Test func `a job in doubt is as doubtful as the line itself, unless what it creates is there`() async throws {
        try await GenericActionBench.with { bench in
            let action = try command("true", ["creates": .string(bench.path("made"))])
            var context = bench.context()
            context.job = .inDoubt("the node went down before the job had ended")
            guard case .inDoubt(let why) = try await action.observe(context) else {
                Issue.record("not in doubt")
                return
            }
            #expect(why.hasPrefix("the node went down before the job had ended; "))
            try bench.write("", to: "made")
            guard case .done = try await action.observe(context) else {
                Issue.record("what it creates is not taken for evidence")
                return
            }
        }
    }

    @Test func `a line of over a minute is a job, a shorter one is none`() throws {
        let rule = try command("true").traits.job
        #expect(!rule.holds(for: .seconds(60)))
        #expect(rule.holds(for: .seconds(61)))
        #expect(try Backup(Parameters(["source": .string("/a"), "to": .string("/b")])).traits.job == .always)
    }

    // MARK: - Users

    @Test(.enabled(if: getuid() == 0, "only root can run a line as another user without a password"))
    func `as another user, the line has that user's rights`() async throws {
        try await GenericActionBench.with { bench in
            let more: [String: Value] = ["as": .string("nobody"), "success": .map(["stdout": .string("nobody")])]
            let evidence = try await command("id -un", more).perform(bench.context())
            #expect(evidence.values["stdout_bytes"] == "7")
            let killed = try await thrown(
                try await command("kill -9 $$", more).perform(bench.context())
            )
            #expect(killed?.isInDoubt == true)
        }
    }

    @Test func `a user who is not root goes by sudo without a password`() async throws {
        try await GenericActionBench.with { bench in
            _ = try bench.replacing("sudo", with: "printf '[%s]' \"$@\"")
            let prelude = try bench.replacing(
                "id",
                with: "case \"$*\" in -u) echo 1000;; -un) echo admin;; *) exit 0;; esac"
            )
            let more: [String: Value] = [
                "as": .string("etcd"),
                "success": .map(["stdout": .string("[-n][-u][etcd][--][timeout][-k][2][25][sh][-c][echo 'a  b']")]),
            ]
            _ = try await command("echo 'a  b'", more).perform(bench.context(prelude: prelude))
        }
    }

    @Test(.enabled(if: getuid() == 0, "only root can run a line as another user without a password"))
    func `a node without runuser uses su`() async throws {
        try await GenericActionBench.with { bench in
            let prelude = try bench.onlyPrograms(["sh", "id", "timeout", "su"])
            let more: [String: Value] = ["as": .string("nobody"), "success": .map(["stdout": .string("nobody it's")])]
            _ = try await command("echo $(/usr/bin/id -un) \"it's\"", more).perform(bench.context(prelude: prelude))
        }
    }

    @Test func `a user that the node does not have is named`() async throws {
        try await GenericActionBench.with { bench in
            let failure = try await thrown(
                try await command("true", ["as": .string("nobody-here")]).perform(bench.context())
            )
            #expect(
                failure?.message == """
                    `true`: exit code 126, where success is 0
                    stderr:
                      there is no user nobody-here on this node
                    """
            )
        }
    }

    @Test(arguments: ["-u root", "a b", "$(id)", "1x"])
    func `what is no name of a user is refused`(name: String) {
        #expect(throws: ActionFailure("command: `as: \(name)` is not the name of a user")) {
            try command("true", ["as": .string(name)])
        }
    }

    // MARK: - Evidence, undo and redo

    @Test func `creates tells what is done, and what is not begun only of a line that may run twice`() async throws {
        try await GenericActionBench.with { bench in
            let path = bench.path("it's done\nhere")
            let line = "touch \"$(printf 'it'\\''s done\\nhere')\""
            let action = try command(
                line,
                ["creates": .string(path), "undo": .string("rm \"$(printf 'it'\\''s done\\nhere')\"")]
            )
            let inside = bench.context(prelude: "cd '\(bench.directory.path(percentEncoded: false))'\n")
            let doubt = Observation.inDoubt(
                "\(path) is not there, and `\(line)` may have ended before it made it"
            )
            #expect(try await action.observe(inside) == doubt)
            let safe = try command(line, ["creates": .string(path), "redo": .string("safe")])
            #expect(try await safe.observe(inside) == .notBegun("\(path) is not there"))
            #expect(try await action.perform(inside).values["creates"] == path)
            #expect(try await action.observe(inside) == .done(Evidence("\(path) is there", ["creates": path])))
            #expect(try await action.undo(inside).values == ["exit_code": "0"])
            #expect(try await action.observe(inside) == doubt)
        }
    }

    @Test func `a path that cannot be looked at is in doubt, not absent`() async throws {
        try await GenericActionBench.with { bench in
            let loop = bench.path("loop")
            try FileManager.default.createSymbolicLink(atPath: loop, withDestinationPath: loop)
            let action = try command("true", ["creates": .string(loop + "/x")])
            guard case .inDoubt(let why) = try await action.observe(bench.context()) else {
                Issue.record("not in doubt")
                return
            }
            #expect(why.hasPrefix("cannot tell whether \(loop)/x is there: "))
        }
    }

    @Test func `a line that does not make what it creates has failed`() async throws {
        try await GenericActionBench.with { bench in
            let path = bench.path("absent")
            let failure = try await thrown(
                try await command("echo ok", ["creates": .string(path)]).perform(bench.context())
            )
            #expect(failure?.message == "`echo ok`: exit code 0, but \(path) is not there\nstdout:\n  ok")
        }
    }

    @Test func `an undo that leaves what was created has failed`() async throws {
        try await GenericActionBench.with { bench in
            try bench.write("", to: "made")
            let action = try command("x", ["creates": .string(bench.path("made")), "undo": .string("true")])
            let failure = try await thrown(try await action.undo(bench.context()))
            #expect(failure?.message == "undo `true`: exit code 0, but \(bench.path("made")) is still there")
        }
    }

    @Test func `an undo that fails says how`() async throws {
        try await GenericActionBench.with { bench in
            let action = try command("x", ["undo": .string("echo no >&2; exit 2")])
            let failure = try await thrown(try await action.undo(bench.context()))
            #expect(failure?.message == "undo `echo no >&2; exit 2`: exit code 2\nstderr:\n  no")
        }
    }

    @Test func `without creates, only a line that may run again is not in doubt`() async throws {
        try await GenericActionBench.with { bench in
            let never = try await command("x").observe(bench.context())
            #expect(never == .inDoubt("nothing tells whether `x` has run: give `creates` a path that it makes"))
            let safe = try await command("x", ["redo": .string("safe")]).observe(bench.context())
            #expect(safe == .notBegun("nothing tells whether `x` has run, and it may run again"))
        }
    }

    @Test func `redo and undo decide the traits`() throws {
        #expect(try command("x").traits.effect == .once)
        #expect(try command("x").traits.hasUndo == false)
        #expect(try command("x", ["redo": .string("safe")]).traits.effect == .repeatable)
        let afterUndo = try command("x", ["redo": .string("after-undo"), "undo": .string("y")]).traits
        #expect(afterUndo.effect == .once)
        #expect(afterUndo.hasUndo)
        #expect(afterUndo.mayRedoAfterUndo)
        #expect(!(try command("x", ["undo": .string("y")]).traits.mayRedoAfterUndo))
    }

    @Test func `redo after undo needs an undo`() {
        let expected = ActionFailure(
            "command: `redo: after-undo` needs `undo`",
            remedy: "give the line that takes the work back, or write `redo: never`"
        )
        #expect(throws: expected) { try command("x", ["redo": .string("after-undo")]) }
    }

    @Test func `a run without a line is refused`() {
        #expect(throws: ActionFailure.self) { try Command(Parameters([String: Value]())) }
    }
}

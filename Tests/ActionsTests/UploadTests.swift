// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import TestSupport
import Testing

@testable import Actions

/// Real files and a real shell; the node is this machine, its state directory one of the test's own.
@Suite struct UploadTests {
    /// What one test works with: a file of the controller, and the step that uploads it.
    struct Bench {
        let files: GenericActionBench
        var source: String { files.path("tool") }
        var dest: String { files.path("opt/pawl/tool") }
        var notes: String { files.path("state/uploads") }

        func parameters(_ more: [String: Value] = [:]) throws -> Parameters {
            var values: [String: Value] = [
                "src": .string("tool"), "dest": .string(dest), "mode": .string("0755"),
                "owner": .string("\(getuid()):\(getgid())"),
            ]
            values.merge(more) { $1 }
            return try Upload.bound(Parameters(values), beside: files.path("playbook.yaml"))
        }

        func upload(_ more: [String: Value] = [:]) throws -> Upload { try Upload(parameters(more)) }

        func context(run: String = "run-1", prelude: String = "") -> ActionContext {
            var context = files.context(prelude: prelude)
            context.target?.variables[NodeState.variable] = .string(files.path("state"))
            context.run = run
            context.playbook = files.path("playbook.yaml")
            return context
        }

        func sweep(_ runs: [String]) async throws -> String {
            let state = NodeState(directory: files.path("state"))
            let command = RemoteCommand("sweep", script: state.shell + UploadScript.sweep(runs), effect: .mutating)
            return try await LocalHost(name: "n1").run(command).errorOutput
        }

        static func with(_ body: (Bench) async throws -> Void) async throws {
            try await GenericActionBench.with { files in
                try files.write("#!/bin/sh\necho it runs\n", to: "tool")
                try await body(Bench(files: files))
            }
        }
    }

    @Test func `a file arrives whole, with its mode, and goes with all that was made for it`() async throws {
        try await Bench.with { bench in
            let upload = try bench.upload()
            #expect(try await upload.observe(bench.context()) == .notBegun("\(bench.dest) is not there"))
            let evidence = try await upload.perform(bench.context())
            #expect(evidence.values["made"] == "true")
            #expect(try String(contentsOfFile: bench.dest, encoding: .utf8) == "#!/bin/sh\necho it runs\n")
            let mode = try FileManager.default.attributesOfItem(atPath: bench.dest)[.posixPermissions]
            #expect(mode as? Int == 0o755)
            guard case .done = try await upload.observe(bench.context()) else {
                Issue.record("a file with the right digest is done")
                return
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: bench.files.path("opt/pawl")) == ["tool"])
            _ = try await upload.perform(bench.context())
            _ = try await upload.undo(bench.context())
            #expect(!bench.files.exists("opt"), "the directories that were made go too")
            #expect(!bench.files.exists("state/uploads"))
            #expect(try await upload.undo(bench.context()).summary == "nothing of this run was there")
        }
    }

    @Test func `a file that was there before is left alone, also afterwards`() async throws {
        try await Bench.with { bench in
            try bench.files.write("#!/bin/sh\necho it runs\n", to: "opt/pawl/tool", mode: 0o700)
            let upload = try bench.upload()
            #expect(try await upload.perform(bench.context()).values["made"] == "false")
            _ = try await upload.undo(bench.context())
            _ = try await bench.sweep(["run-1"])
            #expect(bench.files.exists("opt/pawl/tool"))
            let mode = try FileManager.default.attributesOfItem(atPath: bench.dest)[.posixPermissions]
            #expect(mode as? Int == 0o700)
        }
    }

    @Test func `another file is never overwritten`() async throws {
        try await Bench.with { bench in
            try bench.files.write("mine", to: "opt/pawl/tool")
            let failure = try #require(try await thrown(try await bench.upload().perform(bench.context())))
            #expect(failure.message.contains("is another file"))
            #expect(try String(contentsOfFile: bench.dest, encoding: .utf8) == "mine")
            #expect(!bench.files.exists("state/uploads"))
            // One that appears between the two commands is not either.
            try FileManager.default.removeItem(atPath: bench.dest)
            let appears =
                "if [ -e \(ShellQuoting.quote(bench.dest + ".pawl-run-1")) ]; then "
                + "echo theirs >\(ShellQuoting.quote(bench.dest)); fi\n"
            let late = try #require(
                try await thrown(try await bench.upload().perform(bench.context(prelude: appears)))
            )
            #expect(late.message.contains("cannot put"), "\(late)")
            #expect(try String(contentsOfFile: bench.dest, encoding: .utf8) == "theirs\n")
            // Taken back, it stays, and that is said.
            #expect(try await bench.upload().undo(bench.context()).summary.contains("was left"))
            #expect(bench.files.exists("opt/pawl/tool"))
        }
    }

    @Test func `what is not the file of the plan does not come in place`() async throws {
        try await Bench.with { bench in
            let upload = try bench.upload()
            try bench.files.write("something else", to: "tool")
            let failure = try #require(try await thrown(try await upload.perform(bench.context())))
            #expect(failure.message.contains("what arrived"))
            #expect(!FileManager.default.fileExists(atPath: bench.dest))
            #expect(throws: ActionFailure.self) {
                try bench.upload(["sha256": .string(String(repeating: "0", count: 64))])
            }
            #expect(throws: ActionFailure.self) { try bench.upload(["sha256": .string("abc")]) }
            #expect(throws: ActionFailure.self) { try bench.upload(["src": .string("missing")]) }
            // On another machine, which goes on with a run, the file may be missing as long as it is known what it was.
            let elsewhere = try bench.upload([
                "src": .string("missing"), "sha256": .string(String(repeating: "0", count: 64)),
            ])
            #expect(try await thrown(try await elsewhere.perform(bench.context()))?.message.contains("read") != nil)
        }
    }

    @Test func `the sweep takes the files of its runs only, and none that is to stay or was changed`() async throws {
        try await Bench.with { bench in
            let upload = try bench.upload()
            _ = try await upload.perform(bench.context())
            let kept = try bench.upload(["dest": .string(bench.files.path("kept")), "keep": .bool(true)])
            _ = try await kept.perform(bench.context())
            let changed = try bench.upload(["dest": .string(bench.files.path("changed"))])
            _ = try await changed.perform(bench.context())
            try bench.files.write("edited", to: "changed")
            #expect(try await bench.sweep(["run-2"]).isEmpty)
            #expect(bench.files.exists("opt/pawl/tool"))
            let left = try await bench.sweep(["run-0", "run-1"])
            #expect(left.contains("changed is not what pawl put there"))
            #expect(!bench.files.exists("opt") && bench.files.exists("kept") && bench.files.exists("changed"))
            // A rest of an upload that was cut goes, too.
            try bench.files.write("half", to: "opt/pawl/tool.pawl-run-1.part")
            _ = try await upload.perform(bench.context())
            try bench.files.write("half", to: "opt/pawl/tool.pawl-run-1.part")
            _ = try await bench.sweep(["run-1"])
            #expect(!bench.files.exists("opt/pawl/tool.pawl-run-1.part"))
        }
    }

    @Test func `a place that no other user may enter is refused`() async throws {
        try await Bench.with { bench in
            let upload = try bench.upload(["dest": .string(bench.files.path("state/bin/tool"))])
            let failure = try #require(try await thrown(try await upload.perform(bench.context())))
            #expect(failure.message.contains("pawl's own directory"))
            for (name, value) in [("mode", "rwx"), ("owner", "-x"), ("dest", "/")] {
                #expect(throws: ActionFailure.self) { try bench.upload([name: .string(value)]) }
            }
        }
    }
}

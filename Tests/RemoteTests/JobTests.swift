// SPDX-License-Identifier: Apache-2.0

import Foundation
import TestSupport
import Testing

@testable import Remote

@Suite("A remote job", .timeLimit(.minutes(3)))
struct JobTests {
    // MARK: - Undisturbed

    @Test func `it gives what the command itself would have given`() async throws {
        try await JobBench.with { bench in
            let script = #"printf 'a\0b\n\036mark\nno end'; printf 'words' >&2; pwd >"$OUT"; exit 7"#
            let out = ShellQuoting.quote(bench.path("cwd"))
            let job = try await bench.host().run(bench.command("OUT=\(out)\n" + script))
            let plain = try await LocalHost().run(bench.command("OUT=\(out).2\n" + script))
            #expect(job.exitCode == 7)
            #expect(job.standardOutput == plain.standardOutput)
            #expect(job.errorOutput == "words")
            #expect(bench.read("cwd") == bench.read("cwd.2"))
        }
    }

    @Test(arguments: HostPromise.ofCommands + HostPromise.ofFiles)
    func `a host with jobs keeps the promise for all other commands`(_ promise: HostPromise) async throws {
        try await JobBench.with { try await promise.verify($0.host()) }
    }

    @Test func `it runs in a session of its own, with no input, no foreign descriptor and no signal ignored`()
        async throws
    {
        try await JobBench.with { bench in
            let script = "ps -o sess= -p $$; cat; ls /proc/self/fd | tr '\\n' ' '; grep SigIgn /proc/self/status; umask"
            let local = LocalHost(name: "n1", prelude: "umask 027; exec 5</dev/null 9</dev/null\n")
            let result = try await bench.host(on: local).run(bench.command(script))
            let lines = result.output.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
            let pid = try await bench.sh("cut -d' ' -f1 state/jobs/*/pid")
            #expect(lines.first == pid)
            // 3 is the directory that ls reads, and 8 the lock by which the job is known to be alive.
            let here = try await bench.sh("grep SigIgn /proc/self/status")
            #expect(result.output.contains("0 1 2 3 8 \(here)"), "\(result.output)")
            #expect(lines.last == "0027")
            let modes = try await bench.sh("stat -c %a state state/jobs state/jobs/*/ state/jobs/*/* | sort -u")
            #expect(modes == "600\n700")
        }
    }

    @Test func `it is not begun where the lock was taken over while its directory was brought to the disk`()
        async throws
    {
        try await JobBench.with { bench in
            let lock = sampleLock("r1", 7)
            let directory = bench.path("state")
            let node = LockedNode(directory: directory)
            _ = try await node.take(lock)
            let thief = sampleLock("r2", 8).text
            let wait = "sync() { printf %s \(ShellQuoting.quote(thief)) >\(ShellQuoting.quote(directory))/lock; }\n"
            let local = LocalHost(name: "n1", prelude: wait)
            let trace = EndTrace(file: bench.path("ran"))
            let guarded = GuardedHost(local, guards: [LockGuard(lock.key, in: directory, of: nil), trace])
            let error = await #expect(throws: RemoteError.self) {
                _ = try await bench.host(on: guarded).run(
                    bench.command("echo x >\(ShellQuoting.quote(bench.path("ran")))")
                )
            }
            #expect(error?.code == .fenced && error?.isNotBegun == true, "\(String(describing: error))")
            let state = try await bench.host().settle(within: .seconds(5))
            guard case .notBegun = state else {
                Issue.record("a job that was refused is \(state)")
                return
            }
            #expect(bench.read("ran").isEmpty)
        }
    }

    @Test func `its end is seen at once`() async throws {
        try await JobBench.with { bench in
            var delays: [Double] = []
            // On a loaded machine a single one may be late; one that looked once a second would be 0.7 s late each time.
            for attempt in 1...12 where delays.allSatisfy({ $0 >= 0.5 }) {
                let id = JobID(run: "r1", step: "steps.3/n1", attempt: attempt)
                let result = try await bench.host(id).run(bench.command("sleep 0.3; date +%s.%N"))
                let ended = try #require(Double(result.output.trimmingCharacters(in: .newlines)))
                delays.append(Date().timeIntervalSince1970 - ended)
            }
            #expect(try #require(delays.min()) < 0.5, "\(delays)")
        }
    }

    @Test func `something that it left behind does not keep it from ending`() async throws {
        try await JobBench.with { bench in
            let left = ShellQuoting.quote(bench.path("left"))
            let result = try await bench.host().run(bench.command("sleep 100 & echo $! >\(left)"))
            #expect(result.exitCode == 0)
            try await bench.sh("kill $(cat left)")
        }
    }

    @Test func `what it prints is shown while it runs`() async throws {
        try await JobBench.with { bench in
            let go = ShellQuoting.quote(bench.path("go"))
            async let result = bench.host().run(
                bench.command(
                    "echo first; printf 'at 10%%\\rat 20%%'; until [ -e \(go) ]; do sleep 0.1; done; echo; echo done"
                )
            )
            while !bench.news.all.contains("at 20%") { try await Task.sleep(for: .milliseconds(20)) }
            try await bench.sh("touch go")
            #expect(try await result.output == "first\nat 10%\rat 20%\ndone\n")
        }
    }

    @Test func `the node ends it at its deadline`() async throws {
        try await JobBench.with { bench in
            let result = try await bench.host().run(bench.command("sleep 60", timeout: .seconds(1)))
            #expect(result.exitCode == 124)
            #expect(result.duration >= .seconds(1))
        }
    }

    @Test func `a step has one job, and the second is refused`() async throws {
        try await JobBench.with { bench in
            let host = bench.host()
            _ = try await host.run(bench.command("true"))
            let error = await #expect(throws: RemoteError.self) { _ = try await host.run(bench.command("false")) }
            #expect(error?.isNotBegun == true)
        }
    }

    // MARK: - Begun once

    @Test func `of many that begin it in the same moment one does, and all see its end`() async throws {
        try await JobBench.with { bench in
            for round in 1...5 {
                let id = JobID(run: "r1", step: "steps.\(round)/n1", attempt: 1)
                let log = ShellQuoting.quote(bench.path("log\(round)"))
                let codes = try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<8 {
                        group.addTask {
                            try await bench.host(id).run(bench.command("echo x >>\(log); sleep 0.2; exit 5")).exitCode
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(codes == Array(repeating: 5, count: 8))
                #expect(bench.read("log\(round)") == "x\n")
            }
        }
    }

    @Test func `of one that begins it and one that calls it off, exactly one wins`() async throws {
        try await JobBench.with { bench in
            var outcomes: Set<String> = []
            for round in 1...40 {
                let id = JobID(run: "r1", step: "steps.\(round)/n1", attempt: 1)
                let log = "log\(round)"
                let line = "echo x >>\(ShellQuoting.quote(bench.path(log)))"
                async let begun: CommandResult? = try? bench.host(id).run(bench.command(line))
                // The look finds nothing, or something that is being begun.
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...25)))
                let found = try await bench.host(id).settle(within: .seconds(20))
                let result = await begun
                switch found {
                case .notBegun:
                    #expect(result == nil)
                    #expect(bench.read(log) == "")
                    outcomes.insert("called off")
                case .ended(let end):
                    #expect(end.exitCode == 0)
                    #expect(result?.exitCode == 0)
                    #expect(bench.read(log) == "x\n")
                    outcomes.insert("begun")
                default: Issue.record("\(found)")
                }
            }
            #expect(!outcomes.isEmpty)
        }
    }

    @Test func `what was called off is not begun later`() async throws {
        try await JobBench.with { bench in
            let found = try await bench.host().settle(within: .seconds(5))
            #expect(found == .notBegun("it was called off before it began"))
            let line = "echo x >\(ShellQuoting.quote(bench.path("log")))"
            let error = await #expect(throws: RemoteError.self) { try await bench.host().run(bench.command(line)) }
            #expect(error?.isNotBegun == true)
            #expect(bench.read("log") == "")
        }
    }

    // MARK: - Deaths

    /// Kills what begins a job after so many milliseconds, by signal 9 and with all its children but the job.
    private func cutStarter(_ bench: JobBench, _ id: JobID, after milliseconds: Int, _ line: String) async throws {
        let host = CutHost()
        host.cutNext { _ in try? await Task.sleep(for: .milliseconds(milliseconds)) }
        _ = try? await bench.host(id, on: host, patience: { $0.unreachable = .zero }).run(bench.command(line))
    }

    @Test func `a starter that is killed at any moment leaves a job that is told for what it is`() async throws {
        try await JobBench.with { bench in
            var outcomes: [String: Int] = [:]
            for round in 1...60 {
                let id = JobID(run: "r1", step: "steps.\(round)/n1", attempt: 1)
                let log = "log\(round)"
                let line = "echo x >>\(ShellQuoting.quote(bench.path(log))); sleep 0.1; exit 4"
                try await cutStarter(bench, id, after: round % 30, line)
                switch try await bench.host(id).settle(within: .seconds(20)) {
                case .notBegun:
                    #expect(bench.read(log) == "", "round \(round)")
                    outcomes["not begun", default: 0] += 1
                case .ended(let end):
                    #expect(end.exitCode == 4)
                    #expect(bench.read(log) == "x\n", "round \(round)")
                    outcomes["ended", default: 0] += 1
                case let other: Issue.record("round \(round): \(other)")
                }
                // Whatever it was, it stays that.
                let later = try await bench.host(id).settle(within: .seconds(5))
                if case .notBegun = later { #expect(bench.read(log) == "") }
            }
            #expect(outcomes.values.reduce(0, +) == 60, "\(outcomes)")
        }
    }

    @Test func `a connection that is lost is made again and attaches, also when that is lost`() async throws {
        try await JobBench.with { bench in
            let host = CutHost()
            for word in ["begun", "more"] {
                host.cutNext { _ in try? await bench.await("[ -s \(word) ]") }
            }
            let go = ShellQuoting.quote(bench.path("go"))
            async let cut = bench.host(on: host).run(
                bench.command(
                    """
                    cd \(ShellQuoting.quote(bench.directory)); echo x >>begun; sleep 0.3; echo y >more
                    until [ -e \(go) ]; do sleep 0.05; done; echo out; echo err >&2; exit 6
                    """
                )
            )
            while host.commands < 3 { try await Task.sleep(for: .milliseconds(20)) }
            try await bench.sh("touch go")
            let result = try await cut
            #expect(result.exitCode == 6)
            #expect(result.output == "out\n")
            #expect(result.errorOutput == "err\n")
            #expect(bench.read("begun") == "x\n")
            #expect(bench.news.all.contains { $0.contains("connecting again") })
        }
    }

    @Test func `a job whose script is killed has ended, one whose shell is killed is in doubt when it is gone`()
        async throws
    {
        try await JobBench.with { bench in
            let killed = try await bench.host().run(bench.command("kill -9 $$"))
            #expect(killed.exitCode == 137)
            let id = JobID(run: "r1", step: "steps.3/n1", attempt: 1)
            let error = await #expect(throws: RemoteError.self) {
                // The job's shell is the parent of `timeout`.
                _ = try await bench.host(id).run(
                    bench.command("read -r s </proc/$PPID/stat; set -- ${s##*) }; kill -9 $2; sleep 0.5")
                )
            }
            #expect(error?.code == .inDoubt)
            #expect(error?.message.contains("it was killed") == true)
            let found = try await bench.host(id).settle(within: .seconds(5))
            #expect(found == .inDoubt("it was killed, and its end is not known"))
        }
    }

    @Test func `a job of a node that went down is in doubt, and one that had ended is not`() async throws {
        try await JobBench.with { bench in
            _ = try await bench.host().run(bench.command("echo told; exit 2"))
            let files = ShellQuoting.quote(bench.files())
            // As another boot finds them.
            try await bench.sh("until [ -e \(files)/flushed ]; do sleep 0.02; done; echo another >\(files)/alive")
            guard case .ended(let end) = try await bench.host().settle(within: .seconds(5)) else {
                Issue.record("not ended")
                return
            }
            #expect(end.exitCode == 2)
            #expect(end.output == "told\n")
            try await bench.sh("rm \(files)/flushed")
            let unflushed = try await bench.host().settle(within: .seconds(5))
            #expect(unflushed == .inDoubt("the node went down as it ended; what it printed may be lost"))
            for torn in ["-", "0", "0 nonce 1.00 2.00", "0 nonce 1.00 2.00 non"] {
                try await bench.sh("rm -f \(files)/pid; echo '\(torn)' >\(files)/exit")
                let found = try await bench.host().settle(within: .seconds(5))
                #expect(found == .inDoubt("the node went down before the job had ended"), "\(torn)")
            }
        }
    }

    @Test func `a claim that its maker did not live to write down is one all the same`() async throws {
        try await JobBench.with { bench in
            let files = ShellQuoting.quote(bench.files())
            try await bench.sh(
                "mkdir -p -m 700 \(files); cat /proc/sys/kernel/random/boot_id >\(files)/alive; : >\(files)/intent"
            )
            let found = try await bench.host().settle(within: .seconds(5))
            #expect(found == .notBegun("what was to begin it was cut off"))
            try await bench.sh("echo 'another boot' >\(files)/alive")
            let later = try await bench.host().settle(within: .seconds(5))
            #expect(later == .inDoubt("the node went down before the job had ended"))
        }
    }

    @Test func `a node that does not come back leaves it in doubt, after the patience and not before`() async throws {
        try await JobBench.with { bench in
            let host = GoneHost()
            let started = ContinuousClock.now
            let error = await #expect(throws: RemoteError.self) {
                _ = try await bench.host(on: host, patience: { $0.unreachable = .seconds(1) }).run(
                    bench.command("true")
                )
            }
            #expect(error?.code == .inDoubt)
            #expect(error?.message.contains("cut") == true)
            #expect(ContinuousClock.now - started >= .milliseconds(800))
            #expect(ContinuousClock.now - started < .seconds(5))
        }
    }

    @Test func `a disk that is full refuses a job, and one that has become full takes its end`() async throws {
        guard geteuid() == 0 else { return }
        try await JobBench.with { bench in
            try await bench.sh("mkdir state; mount -t tmpfs -o size=64k,mode=700 tmpfs state")
            do {
                try await bench.sh("head -c 1000000 /dev/zero >state/fill 2>/dev/null; true")
                let error = await #expect(throws: RemoteError.self) {
                    _ = try await bench.host().run(bench.command("echo x >\(ShellQuoting.quote(bench.path("log")))"))
                }
                #expect(error?.code == .refused)
                #expect(error?.isNotBegun == true)
                #expect(error?.message.contains("disk") == true)
                #expect(bench.read("log") == "")
                try await bench.sh("rm state/fill")
                let id = JobID(run: "r1", step: "steps.3/n1", attempt: 1)
                let fill = ShellQuoting.quote(bench.path("state/fill"))
                let result = try await bench.host(id).run(
                    bench.command("head -c 1000000 /dev/zero >\(fill) 2>/dev/null; exit 9")
                )
                #expect(result.exitCode == 9)
                try await bench.sh("umount state")
            } catch {
                try await bench.sh("umount -l state")
                throw error
            }
        }
    }

    @Test func `more output than can be kept leaves it in doubt`() throws {
        let many = [UInt8](repeating: 65, count: JobScript.longestOutput + 1)
        let result = CommandResult(
            exitCode: 0,
            standardOutput: Array("\u{1e}n out\n".utf8) + many + Array("\u{1e}n ended 0 1.00 2.50\n".utf8),
            standardError: Array("\u{1e}n err\n".utf8),
            duration: .zero
        )
        guard case .state(.inDoubt(let why)) = JobReport(result, nonce: "n") else {
            Issue.record("not in doubt")
            return
        }
        #expect(why.contains("printed more than"))
    }

    @Test func `an answer that is cut short is none`() {
        let whole = Array("\u{1e}n out\nx\u{1e}n ended 0 1.00 2.50\n".utf8)
        let error = Array("\u{1e}n err\n".utf8)
        for count in 0..<whole.count {
            let result = CommandResult(
                exitCode: 0,
                standardOutput: Array(whole.prefix(count)),
                standardError: error,
                duration: .zero
            )
            #expect(JobReport(result, nonce: "n") == nil, "\(count) bytes")
        }
        let result = CommandResult(exitCode: 0, standardOutput: whole, standardError: error, duration: .zero)
        guard case .state(.ended(let end)) = JobReport(result, nonce: "n") else {
            Issue.record("not read")
            return
        }
        #expect(end.output == "x")
        #expect(end.duration == .milliseconds(1510))
    }

    // MARK: - Names

    @Test func `no two ids share a directory`() {
        let words = [
            "r", "r.s", "r%2Es", "r/s", "r s", "", ".", "s.1", "s.1.undo", "ü", String(repeating: "x", count: 300),
        ]
        var names: [String: JobID] = [:]
        for run in words {
            for step in words {
                for attempt in [1, 2, 11] {
                    for isUndo in [false, true] {
                        let id = JobID(run: run, step: step, attempt: attempt, isUndo: isUndo)
                        #expect(names.updateValue(id, forKey: id.directoryName) == nil, "\(id)")
                        #expect(id.directoryName.utf8.count < 255 && !id.directoryName.contains("/"))
                        for other in words where other != run {
                            #expect(!id.directoryName.hasPrefix(JobID.prefix(ofRun: other)))
                        }
                    }
                }
            }
        }
    }
}

/// A node whose first command is cut, and which cannot be reached from then on.
private final class GoneHost: CommandOnlyHost {
    let name = "n1"
    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        if command.effect == .mutating { throw RemoteError(.inDoubt, host: name, "cut") }
        throw RemoteError(.unreachable, host: name, "nobody answers")
    }
}

/// Notes that a command has ended.
private struct EndTrace: MutationGuard {
    let file: String

    func prologue(for command: RemoteCommand) -> String { ":" }
    func epilogue(for command: RemoteCommand) -> String { "echo ended >\(ShellQuoting.quote(file))" }
}

// SPDX-License-Identifier: Apache-2.0

import Fleet
import Foundation
import Journal
import Remote
import Rollout
import Synchronization
import TestSupport
import Testing

@testable import Engine

/// What the nodes carry of a run, and what is made of it where the journal is not.
@Suite struct ReplicaTests {
    /// The replica of a node's open run.
    private func replica(_ bench: Bench, _ host: String) throws -> RunReplica {
        try ReplicaText.read(Array(Data(contentsOf: URL(filePath: bench.nodeState(host) + "/run"))))
    }

    private func marker(_ bench: Bench, _ host: String) throws -> RunMarker {
        try RunMarker(text: Array(Data(contentsOf: URL(filePath: bench.nodeState(host) + "/last-run"))))
    }

    private func ledger(_ bench: Bench) async throws -> ReplicaLedger {
        try ReplicaLedger(
            try await bench.record(),
            playbook: "x",
            store: bench.store,
            writer: RunReplica.Writer(host: "h", pid: 1, version: "1")
        )
    }

    private func files(_ bench: Bench, _ host: String) -> [String] {
        // The lock's own files and those of jobs are not asked about.
        ((try? FileManager.default.contentsOfDirectory(atPath: bench.nodeState(host))) ?? [])
            .filter { !["token", "lock", "lock.guard", "jobs"].contains($0) }.sorted()
    }

    private func mode(_ path: String) throws -> Int {
        let value = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
        return value?.intValue ?? -1
    }

    /// A run that was killed within a step, once that has written a line into the log.
    private func killed(_ bench: Bench, in step: String = "steps.1/b", after line: String = "one b") async throws {
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        let log = bench.desk.file("log")
        await bench.events.onStart(of: step) {
            Task {
                while !((try? String(contentsOfFile: log, encoding: .utf8)) ?? "").contains(line) {
                    await Task.yield()
                }
                sender.yield(.abandon)
            }
        }
        var bench = bench
        bench.connector = { DyingHost(inner: LocalHost(name: $0.name)) }
        #expect(try await bench.run(signals).exitCode == 130)
        await bench.events.onEvent { _ in }
    }

    /// A way over which the end of a run does not reach the node, as when its controller is killed.
    private struct DyingHost: ForwardingHost {
        let inner: any RemoteHost
        /// How often it does not; `nil` for never.
        var times: Countdown?
        var code = RemoteError.Code.unreachable

        func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
            if command.label == "tell the node how the run ended", times?.next() ?? true {
                throw RemoteError(code, host: name, "there is nobody")
            }
            return try await inner.run(command)
        }
    }

    private final class Countdown: Sendable {
        private let left: Mutex<Int>
        init(_ count: Int) { left = Mutex(count) }
        func next() -> Bool {
            left.withLock {
                $0 -= 1
                return $0 >= 0
            }
        }
    }

    // MARK: - Writing

    @Test func `each node carries the run with the intent of what is being done on it`() async throws {
        let bench = try Bench(["broken-b": ""])
        let look = bench.desk.file("seen")
        // What is on the node while the step is at work.
        try bench.desk.write("one-b", "cp \(bench.nodeState("b"))/run \(look)")
        #expect(try await bench.run().exitCode == 3)
        let seen = try ReplicaText.read(Array(Data(contentsOf: URL(filePath: look))))
        #expect(seen.entry.occasion == .performing)
        #expect(seen.entry.step == "steps.1/b")
        #expect(seen.exitCode == nil)
        let last = try #require(seen.records.last)
        #expect(last.step == "steps.1/b")
        #expect(last.kind == .intent)
        let record = try await bench.record()
        #expect(seen.run.planDigest == record.planDigest)
        #expect(seen.playbook == Bench.playbook)
        #expect(
            seen.isBeginning(
                ofRecords: try await bench.store.records(of: record.id),
                facts: try await bench.store.factHistory(of: record.id)
            )
        )
        #expect(try mode(bench.nodeState("b")) == 0o700)
        #expect(try mode(bench.nodeState("b") + "/run") == 0o600)
    }

    @Test(arguments: [RemoteError.Code.unreachable, .shell])
    func `a node that is away at the end of a run that is done is waited for`(_ code: RemoteError.Code) async throws {
        var bench = try Bench()
        let times = Countdown(2)
        bench.connector = {
            DyingHost(inner: LocalHost(name: $0.name), times: $0.name == "b" ? times : Countdown(0), code: code)
        }
        #expect(try await bench.run().exitCode == 0)
        for host in ["a", "b"] { #expect(try marker(bench, host).state == .done) }
        let notices = await bench.events.notices
        #expect(notices.contains { $0.contains("waits for b, to tell that the run is done") }, "\(notices)")
        #expect(!notices.contains { $0.contains("was not told") }, "\(notices)")
    }

    /// A way over which the last command of a run goes in an odd manner.
    private struct OddFarewell: ForwardingHost {
        let inner: any RemoteHost
        let run: @Sendable (any RemoteHost, RemoteCommand) async throws(RemoteError) -> CommandResult

        func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
            guard command.label == "tell the node how the run ended" else { return try await inner.run(command) }
            return try await run(inner, command)
        }
    }

    @Test func `a farewell whose end nobody saw is said once more, and nothing is complained of`() async throws {
        var bench = try Bench()
        bench.connector = {
            let times = Countdown(1)
            return OddFarewell(inner: LocalHost(name: $0.name)) { host, command throws(RemoteError) in
                let result = try await host.run(command)
                if times.next() { throw RemoteError(.inDoubt, host: host.name, "the connection was lost") }
                return result
            }
        }
        #expect(try await bench.run().exitCode == 0)
        for host in ["a", "b"] {
            #expect(try marker(bench, host).state == .done)
            #expect(!FileManager.default.fileExists(atPath: bench.nodeState(host) + "/lock"))
        }
        #expect(await bench.events.notices.isEmpty)
    }

    @Test func `a node that another has the lock of is left as it is, and that is told`() async throws {
        var bench = try Bench()
        let state = bench.nodeState("b")
        bench.connector = {
            OddFarewell(inner: LocalHost(name: $0.name)) { host, command throws(RemoteError) in
                let thief = "sed -i 's/^run=.*/run=other/; s/^token=.*/token=99/' \(state)/lock"
                if host.name == "b" { _ = try await host.run(RemoteCommand("", script: thief, effect: .mutating)) }
                return try await host.run(command)
            }
        }
        #expect(try await bench.run().exitCode == 0)
        #expect(try marker(bench, "a").state == .done)
        #expect(try String(contentsOfFile: state + "/lock", encoding: .utf8).contains("run=other"))
        #expect(FileManager.default.fileExists(atPath: state + "/run"))
        let notices = await bench.events.notices
        #expect(notices.contains { $0.contains("was not told that the run is done: this run has lost the lock") })
    }

    @Test func `only what is new is sent to a node that is known to have the rest`() async throws {
        let bench = try Bench(["broken-b": "", "one-b": ""])
        let look = bench.desk.file("lines")
        try bench.desk.write("one-b", "cat \(bench.nodeState("b"))/run | wc -l >>\(look)")
        let text = Bench.playbook.replacing(
            "echo two {{",
            with: "wc -l <{{ pawl_state_dir }}/run >>\(look); echo two {{"
        )
        try bench.desk.write("play.yaml", text)
        #expect(try await bench.run().exitCode == 3)
        // Head, base and an entry for each command so far, with the ends of those before: on a, the freeze and two steps.
        let counts = bench.desk.lines(of: "lines")
        #expect(counts.prefix(3) == ["7", "3", "5"])
    }

    /// Whether a command of a turn is begun, where one of another turn comes while it waits for the disk.
    private func isBegun(
        _ turn: Int,
        isUndo: Bool = false,
        before other: String,
        after end: String = "",
        _ bench: Bench,
        _ ledger: ReplicaLedger
    ) async throws -> Bool {
        let state = bench.nodeState("a")
        let item = ReplicaGuard(
            ledger: ledger,
            script: ReplicaScript(state: NodeState(directory: state), header: ledger.header),
            place: .init(host: "a", become: true),
            step: "steps.1/a",
            attempt: 1,
            turn: turn,
            isUndo: isUndo
        )
        // The disk is waited for by `sync`.
        let come = "printf '%s\\n' \(ShellQuoting.quote(other)) >>\(state)/turns"
        let wait = "sync() { \(end.isEmpty ? come : end); }\n"
        let host = GuardedHost(LocalHost(name: "a", prelude: wait), guards: [item])
        do throws(RemoteError) {
            return try await host.run(RemoteCommand("x", script: "echo begun", effect: .mutating)).output == "begun\n"
        } catch {
            #expect(error.code == .unrecorded && error.isNotBegun, "\(error)")
            return false
        }
    }

    @Test func `a command that waited until its step was taken back is not begun`() async throws {
        let bench = try Bench()
        try await bench.run()
        let run = try await bench.record().id
        let ledger = try await self.ledger(bench)
        // The whole replica first, then only what is new.
        for _ in 1...2 {
            #expect(try await isBegun(1, before: "1 \(run) steps.1/a", bench, ledger))
        }
        for other in ["9 \(run) steps.2/a", "9 r0 steps.1/a", "x \(run) steps.1/a", ""] {
            #expect(try await isBegun(1, before: other, bench, ledger), "\(other)")
        }
        #expect(try await !isBegun(1, before: "2 \(run) steps.1/a", bench, ledger))
        #expect(try await !isBegun(1, before: "1 \(run) steps.1/a", bench, ledger), "it came before this one")
        #expect(try await isBegun(2, isUndo: true, before: "1 \(run) steps.1/a", bench, ledger))
        #expect(try await !isBegun(2, isUndo: true, before: "3 \(run) steps.1/a", bench, ledger))
        let turns = bench.nodeState("a") + "/turns"
        for end in ["rm -f \(turns)", "echo 1 r2 steps.1/a >\(turns)"] {
            #expect(try await !isBegun(9, before: "", after: end, bench, ledger), "the run has ended meanwhile")
        }
        // Nobody can write there: what takes something back is not kept from it.
        try? FileManager.default.removeItem(atPath: turns)
        try FileManager.default.createDirectory(atPath: turns, withIntermediateDirectories: false)
        #expect(try await isBegun(4, isUndo: true, before: "", bench, ledger))
        #expect(try await !isBegun(5, before: "", bench, ledger))
    }

    @Test func `what takes something back goes on where the node's directory is not to be trusted any more`()
        async throws
    {
        let bench = try Bench()
        try await bench.run()
        let ledger = try await self.ledger(bench)
        let state = bench.nodeState("a")
        #expect(try await isBegun(1, before: "", bench, ledger))
        // The turns of what was done are there still.
        try FileManager.default.moveItem(atPath: state, toPath: state + ".moved")
        try FileManager.default.createSymbolicLink(atPath: state, withDestinationPath: state + ".moved")
        #expect(FileManager.default.fileExists(atPath: state + "/turns"))
        #expect(try await isBegun(2, isUndo: true, before: "", bench, self.ledger(bench)))
        #expect(try await !isBegun(3, before: "", bench, self.ledger(bench)))
    }

    @Test func `a whole replica that waited until its run had ended does not come on the node any more`() async throws {
        let bench = try Bench()
        try await bench.run()
        let ledger = try await self.ledger(bench)
        let state = bench.nodeState("a")
        #expect(try await !isBegun(1, before: "", after: "rm -f \(state)/turns", bench, ledger))
        #expect(!FileManager.default.fileExists(atPath: state + "/run"))
        #expect(try await isBegun(1, before: "", bench, ledger))
        #expect(FileManager.default.fileExists(atPath: state + "/run"))
    }

    @Test func `after a command whose end nobody saw the node gets the whole again`() async throws {
        let bench = try Bench(["broken-b": ""])
        try await bench.run()
        let ledger = try await self.ledger(bench)
        func isWhole(_ host: String) async throws -> Bool {
            let place = ReplicaLedger.Place(host: host, become: true)
            switch try await ledger.text(for: place, .performing, step: "steps.1/\(host)", attempt: 1) {
            case .whole: return true
            case .more: return false
            }
        }
        let place = ReplicaLedger.Place(host: "a", become: true)
        #expect(try await isWhole("a"))
        await ledger.confirm(place)
        #expect(try await !isWhole("a"))
        // Nobody confirmed the second.
        #expect(try await isWhole("a"))
        await ledger.confirm(place)
        // Another user has another directory there, and another node knows nothing.
        let other = ReplicaLedger.Place(host: "a", become: false)
        guard case .whole = try await ledger.text(for: other, .undoing, step: "steps.1/a", attempt: 1) else {
            Issue.record("what root has was taken for the user's")
            return
        }
        #expect(try await isWhole("b"))
        #expect(try await !isWhole("a"))
    }

    @Test func `a run that halted says so on every node, with all that is known`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        let id = try await bench.record().id
        for host in ["a", "b", "c"] {
            let replica = try replica(bench, host)
            #expect(replica.entry.occasion == .halted)
            #expect(replica.records == RunReplica.renumbered(try await bench.store.records(of: id)))
            #expect(replica.facts.count == (try await bench.store.factHistory(of: id)).count)
            #expect(files(bench, host).filter { $0 != "turns" } == ["run"])
        }
    }

    @Test func `a run that is done leaves a small marker and no more`() async throws {
        let bench = try Bench()
        #expect(try await bench.run().exitCode == 0)
        let record = try await bench.record()
        for host in ["a", "b", "c"] {
            #expect(files(bench, host) == ["last-run"])
            let marker = try marker(bench, host)
            #expect(marker.run == record.id)
            #expect(marker.state == .done)
            #expect(marker.planDigest == record.planDigest)
            #expect(marker.playbook == "Three hosts")
            #expect(try mode(bench.nodeState(host) + "/last-run") == 0o600)
        }
    }

    @Test func `a run that changed nothing leaves nothing where it had begun nothing`() async throws {
        let bench = try Bench(["not-ready-b": ""])
        #expect(try await bench.run().exitCode == 4)
        for host in ["a", "b", "c"] { #expect(files(bench, host) == []) }
        let thawed = try Bench(["shut": ""])
        #expect(try await thawed.run().exitCode == 4)
        #expect(files(thawed, "a") == ["last-run"])
        #expect(files(thawed, "b") == [])
        #expect(try marker(thawed, "a").state == .refused)
    }

    @Test func `a step that cannot be put on record on its node is not begun, and is taken back nevertheless`()
        async throws
    {
        let bench = try Bench()
        // Something is in the place of the file that is written beside.
        let obstacle = bench.nodeState("b") + "/run.new"
        try FileManager.default.createDirectory(
            atPath: obstacle,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(halted.report?.reason.contains("cannot be put on record on the node") == true)
        #expect(!bench.log.contains("one b"))
        #expect(bench.log.last == "look b")
        try FileManager.default.removeItem(atPath: obstacle)
        #expect(try await bench.resume().exitCode == 0)

        let second = try Bench(["broken-b": ""])
        let node = second.nodeState("b")
        try second.desk.write("one-b", "rm \(node)/run; mkdir \(node)/run.new")
        #expect(try await second.run().exitCode == 3)
        #expect(!second.log.contains("two b"))
        #expect(second.log.suffix(3) == ["undo-two b", "undo-one b", "look b"])
    }

    @Test func `a node that is in another run is not touched, also when nobody looked before`() async throws {
        let bench = try Bench()
        let other = try Bench(["broken-b": ""])
        #expect(try await other.run().exitCode == 3)
        let log = bench.desk.file("seen")
        // Between the look and the first change of that host another run is begun there.
        try bench.desk.write(
            "one-a",
            "cp \(other.nodeState("b"))/run \(bench.nodeState("b"))/run; touch \(log)"
        )
        let halted = try await bench.run()
        #expect(halted.exitCode == 3)
        #expect(halted.report?.reason.contains("is of another run, which is open") == true)
        #expect(!bench.log.contains("one b"))
    }

    // MARK: - A new run

    @Test func `a new run is refused while the nodes are in another, and may give it up`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        let first = try await bench.record().id
        let elsewhere = InMemoryRunStore()
        let error = await #expect(throws: RunControllerError.self) { try await bench.run(on: elsewhere) }
        #expect(error?.exitCode == 6)
        for word in [first, "on a, b, c", "halted at"] { #expect(error?.message.contains(word) == true, "\(word)") }
        for word in ["pawl resume -i", "pawl rollback \(first)", "--supersede"] {
            #expect(error?.remedy?.contains(word) == true, "\(word)")
        }
        #expect(try await elsewhere.runs().isEmpty)

        try bench.desk.remove("broken-b")
        #expect(try await bench.run(superseding: .everything).exitCode == 0)
        #expect(try await bench.store.run(first).state == .abandoned)
        #expect(await #expect(throws: RunControllerError.self) { try await bench.resume(first) }?.code == .nothingToDo)
        #expect(try marker(bench, "b").state == .done)
    }

    @Test func `a run that was given up is told so where it was begun`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        #expect(try await bench.run(on: InMemoryRunStore(), superseding: .everything).exitCode == 3)
        let error = await #expect(throws: RunControllerError.self) { try await bench.resume() }
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("another") == true)

        let quiet = try Bench(["broken-b": ""])
        #expect(try await quiet.run().exitCode == 3)
        try quiet.desk.write("not-ready-a", "")
        #expect(try await quiet.run(on: InMemoryRunStore(), superseding: .everything).exitCode == 4)
        let told = await #expect(throws: RunControllerError.self) { try await quiet.resume() }
        #expect(told?.exitCode == 6)
        #expect(told?.message.contains("abandoned") == true)
        #expect(told?.message.contains("superseded by run") == true)
    }

    @Test func `a run that goes on from another takes its place on the nodes, and that one is over`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        let first = try await bench.record()
        try bench.desk.remove("broken-b")
        let second = InMemoryRunStore()
        let other = await #expect(throws: RunControllerError.self) {
            try await bench.run(on: second, superseding: .run("another"))
        }
        #expect(other?.exitCode == 6)
        #expect(try await bench.run(on: second, superseding: .run(first.id)).exitCode == 0)
        let error = await #expect(throws: RunControllerError.self) { try await bench.resume(first.id) }
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("since then") == true)
    }

    @Test func `what cannot be read on a node refuses a new run, and is put aside when that is given up`() async throws
    {
        let bench = try Bench()
        try FileManager.default.createDirectory(atPath: bench.nodeState("b"), withIntermediateDirectories: false)
        try bench.desk.write("b/run", "something\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: bench.nodeState("b"))
        let error = await #expect(throws: RunControllerError.self) { try await bench.run() }
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("b/run cannot be read") == true)
        #expect(bench.log == [])
        #expect(try await bench.run(superseding: .everything).exitCode == 0)
        #expect(files(bench, "b") == ["last-run", "run.unreadable"])
    }

    // MARK: - Going on

    @Test func `a killed run is gone on with by a machine that has only the inventory`() async throws {
        let bench = try Bench(["one-b": "sleep 3"])
        try await killed(bench)
        try bench.desk.write("one-b", "")
        try bench.desk.remove("play.yaml")
        let store = InMemoryRunStore()
        #expect(try await bench.resumeElsewhere(on: store).exitCode == 0)
        let mine = bench.log.filter { $0.hasSuffix(" b") }
        // Its job went on without the controller, and was waited for.
        #expect(mine == ["one b", "two b", "look b"])
        #expect(bench.log.last == "thaw")
        let run = try #require(try await store.runs().first)
        #expect(run.id == (try await bench.record().id))
        #expect(run.state == .done)
        // The first machine learns of it.
        let error = await #expect(throws: (any Error).self) { try await bench.resume() }
        #expect(error != nil)
    }

    @Test func `the playbook that was carried is kept for the next resume`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        try bench.desk.remove("play.yaml")
        let store = InMemoryRunStore()
        #expect(try await bench.resumeElsewhere(on: store).exitCode == 3)
        let path = try #require(try await store.runs().first?.playbookPath)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == Bench.playbook)
        #expect(try mode(path) == 0o600)
        try bench.desk.remove("broken-b")
        let controller = bench.controller(store)
        let open = try await controller.open(nil)
        let done = try await controller.resume(open, observer: bench.events, signals: .init { _ in })
        #expect(done.exitCode == 0)
    }

    @Test func `files of the command line's variables are carried`() async throws {
        let bench = try Bench(["broken-b": "", "vars.yaml": "who: { deep: [1, 'é'] }\n"])
        var request = bench.request
        request.extraVariables.append("@" + bench.desk.file("vars.yaml"))
        let portable = try request.portable()
        #expect(portable.extraVariables.last?.hasPrefix("{") == true)
        let play = try PlayLoader.load(request)
        try bench.desk.remove("vars.yaml")
        #expect(try PlayLoader.load(portable).inputs == play.inputs)
    }

    @Test func `a copy of the journal that is behind the nodes is refused with both sides`() async throws {
        let bench = try Bench(["one-b": "sleep 3"])
        try await killed(bench)
        try bench.desk.write("one-b", "")
        let id = try await bench.record().id
        let run = try await bench.record()
        let records = try await bench.store.records(of: id)
        let facts = try await bench.store.factHistory(of: id)
        let stale = InMemoryRunStore()
        try await stale.adopt(run, records: records.dropLast(3), facts: facts.dropLast(2))
        let controller = bench.controller(stale)
        let before = bench.log
        let error = await #expect(throws: RunControllerError.self) {
            let open = try await controller.open(id)
            return try await controller.resume(open, observer: bench.events, signals: .init { _ in })
        }
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("the journal: \(records.count - 3) records") == true)
        #expect(error?.message.contains("steps.1/b was begun") == true)
        #expect(error?.remedy?.contains("pawl resume -i") == true)
        #expect(bench.log == before)
        // The whole journal goes on.
        #expect(try await bench.resume(id).exitCode == 0)
    }

    @Test func `what a journal had not flushed when its machine lost power is taken from the nodes`() async throws {
        let bench = try Bench(["one-b": "sleep 3"])
        try await killed(bench)
        try bench.desk.write("one-b", "")
        let run = try await bench.record()
        let records = try await bench.store.records(of: run.id)
        let facts = try await bench.store.factHistory(of: run.id)
        // Facts are flushed with the next intent of a change only.
        let unflushed = InMemoryRunStore()
        try await unflushed.adopt(run, records: records, facts: facts.dropLast())
        let controller = bench.controller(unflushed)
        let open = try await controller.open(run.id)
        let done = try await controller.resume(open, observer: bench.events, signals: .init { _ in })
        #expect(done.exitCode == 0)
        #expect(try await unflushed.factHistory(of: run.id).prefix(facts.count).map(\.name) == facts.map(\.name))
        #expect(bench.log.filter { $0 == "one b" }.count == 1)
    }

    @Test func `a run that went on in two places is told on both`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        let elsewhere = InMemoryRunStore()
        #expect(try await bench.resumeElsewhere(on: elsewhere).exitCode == 3)
        let here = await #expect(throws: RunControllerError.self) { try await bench.resume() }
        #expect(here?.exitCode == 6)
        #expect(here?.message.contains("the nodes know more of run") == true)
        // What is known here contradicts them, too: nothing was taken over from the nodes.
        let first = try await bench.record()
        #expect(try await elsewhere.runs().map(\.id) == [first.id])

        // A node that was away meanwhile still has what the first machine wrote after the second had begun.
        var fork = try replica(bench, "c")
        fork.records = RunReplica.renumbered(
            try await bench.store.records(of: first.id) + [
                StepRecord(run: first.id, step: "steps.1/c", kind: .intent, at: Date())
            ]
        )
        fork.facts = Array(fork.facts.prefix(1))
        try bench.desk.write("c/run", ReplicaText.text(of: fork))
        let third = await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere() }
        #expect(third?.exitCode == 6)
        #expect(third?.message.contains("contradict each other") == true)
    }

    // MARK: - What may be missing

    @Test func `nothing on the nodes is no run`() async throws {
        let bench = try Bench()
        let none = await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere() }
        #expect(none?.exitCode == 64)
        #expect(none?.remedy?.contains("killed before its first change") == true)
        try await bench.run()
        let done = await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere() }
        #expect(done?.code == .nothingToDo)
        #expect(done?.message.contains("is done since") == true)
    }

    @Test func `a journal that was lost after the first intent is made good by the one node that has it`() async throws
    {
        let bench = try Bench()
        let slow = Bench.playbook.replacing(
            "echo freeze >>{{ dir }}/log",
            with: "echo freeze >>{{ dir }}/log; sleep 3"
        )
        try bench.desk.write("play.yaml", slow)
        try await killed(bench, in: "freeze.1/a", after: "freeze")
        #expect(["a", "b", "c"].map { files(bench, $0) } == [["run", "turns"], [], []])
        let open = try await bench.controller(InMemoryRunStore()).open(
            nil,
            from: [bench.desk.file("hosts.ini")],
            limit: nil,
            keepingPlaybooksIn: URL(filePath: bench.desk.file("playbooks"))
        )
        #expect(open.history.last?.step == StepID("freeze.1/a"))
        #expect(open.history.last?.kind == .intent)
    }

    @Test func `a node that does not answer may know more, unless its steps are done`() async throws {
        let bench = try Bench(["one-b": "sleep 3"])
        try await killed(bench)
        try bench.desk.write("one-b", "")
        func resume(without silent: String) async throws -> RunConclusion {
            var bench = bench
            bench.connector = { settings in
                if settings.name == silent { return SilentNode(name: silent) }
                return LocalHost(name: settings.name)
            }
            return try await bench.resumeElsewhere()
        }
        // c was not begun as far as a and b know; b is in the middle of its steps.
        for host in ["b", "c"] {
            let error = await #expect(throws: RunControllerError.self) { try await resume(without: host) }
            #expect(error?.exitCode == 4, "\(host)")
            #expect(error?.message.contains(host) == true)
        }
        // a is done, and b was begun since: nothing newer can be there. The run itself then asks for it.
        let without = try await resume(without: "a")
        #expect(without.exitCode != 0)
        #expect(without.report?.reason.contains("no answer") == true)
    }

    private struct SilentNode: CommandOnlyHost {
        var name: String
        func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
            throw RemoteError(.unreachable, host: name, "no answer")
        }
    }

    @Test func `a replica that is cut short, changed or of a later version is refused with its place`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        let whole = bench.desk.file("b/run")
        let text = try String(contentsOfFile: whole, encoding: .utf8)
        let damages = [
            String(text.prefix(text.count / 3)), text.replacing("H4sI", with: "H4sJ"), "",
            "{\"replica\":{\"format\":9,\"run\":\"x\"}}\n",
        ]
        for damage in damages {
            try bench.desk.write("b/run", damage)
            for resume in [{ try await bench.resumeElsewhere() }, { try await bench.resume() }] {
                let error = await #expect(throws: RunControllerError.self) { try await resume() }
                #expect(error?.exitCode == 6)
                #expect(error?.message.contains("b/run cannot be read") == true)
            }
        }
        try bench.desk.write("b/run", text)
        try bench.desk.remove("broken-b")
        #expect(try await bench.resumeElsewhere().exitCode == 0)
    }

    @Test func `of two open runs one must be named, and each is of its own hosts`() async throws {
        let bench = try Bench(["broken-b": "", "broken-c": ""])
        let (first, second) = (InMemoryRunStore(), InMemoryRunStore())
        let limited = Bench.playbook.replacing("hosts: a, run", with: "run")
        try bench.desk.write("play.yaml", limited)
        #expect(try await bench.run(on: first, limit: "a,b").exitCode == 3)
        #expect(try await bench.run(on: second, limit: "c").exitCode == 3)
        let error = await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere() }
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("more than one run") == true)
        try bench.desk.remove("broken-b")
        let id = try #require(try await first.runs().first?.id)
        #expect(try await bench.resumeElsewhere(id).exitCode == 0)
        #expect(bench.log.filter { $0 == "two b" }.count == 2)
        #expect(bench.log.filter { $0.hasSuffix(" c") } == ["one c", "two c", "undo-two c", "undo-one c", "look c"])
        #expect(try replica(bench, "c").entry.occasion == .halted)
    }

    @Test func `another plan of the same run is told with both digests`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        var changed = try replica(bench, "c")
        changed.run.planDigest = "0123456789abcdef"
        try bench.desk.write("c/run", ReplicaText.text(of: changed))
        let error = await #expect(throws: RunControllerError.self) { try await bench.resume() }
        #expect(error?.exitCode == 6)
        #expect(error?.message.contains("0123456789ab on c") == true)
        #expect(error?.message.contains(String(try await bench.record().planDigest.prefix(12))) == true)
        #expect(await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere() }?.exitCode == 6)
    }

    @Test func `a command that ends after its run leaves nothing on the node`() async throws {
        let bench = try Bench()
        // The run's end reaches the node while the command is still at work.
        try bench.desk.write("one-b", "rm \(bench.nodeState("b"))/run")
        let halted = try await bench.run()
        #expect(halted.report?.reason.contains("is not there any more") == true)
        #expect(bench.log.contains("one b") && !bench.log.contains("two b"))
        // Nothing but what the end of this run told.
        #expect(files(bench, "b") == ["run", "turns"])
        #expect(try replica(bench, "b").entry.occasion == .halted)
    }

    @Test func `another playbook or inventory on the other machine is drift`() async throws {
        let bench = try Bench(["broken-b": ""])
        #expect(try await bench.run().exitCode == 3)
        let hosts = try String(contentsOfFile: bench.desk.file("hosts.ini"), encoding: .utf8)
        try bench.desk.write("hosts.ini", hosts + "d\n")
        let store = InMemoryRunStore()
        let error = await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere(on: store) }
        #expect(error?.exitCode == 6)
        #expect(try await store.runs().isEmpty)

        try bench.desk.write("hosts.ini", hosts)
        for host in ["a", "b", "c"] {
            var changed = try replica(bench, host)
            changed.playbook += "# changed\n"
            try bench.desk.write("\(host)/run", ReplicaText.text(of: changed))
        }
        let forged = await #expect(throws: RunControllerError.self) { try await bench.resumeElsewhere(on: store) }
        #expect(forged?.exitCode == 6)
        #expect(forged?.message.contains("not the one that its plan was made from") == true)
    }

    @Test func `a run that ended while its controller died is resumed by its own journal`() async throws {
        let bench = try Bench()
        #expect(try await bench.run().exitCode == 0)
        let run = try await bench.record()
        // Killed between the words to the nodes and the state of the journal.
        try await bench.store.setState(of: run.id, .running)
        #expect(try await bench.resume().exitCode == 0)
        #expect(try marker(bench, "a").run == run.id)
    }

    // MARK: - Grace

    @Test(.timeLimit(.minutes(1)))
    func `when the grace time is over nobody waits any more, and the run can be resumed`() async throws {
        let bench = try Bench(["one-b": "sleep 3"])
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        await bench.events.onStart(of: "steps.1/b") { sender.yield(.interrupt) }
        let began = ContinuousClock.now
        let stopped = try await bench.run(signals, grace: .milliseconds(300))
        #expect(stopped.exitCode == 130)
        #expect(ContinuousClock.now - began < .seconds(30))
        #expect(stopped.states["b"] == "in doubt")
        #expect(await bench.events.notices.contains { $0.contains("grace time of 300ms") })
        await bench.events.onEvent { _ in }
        try bench.desk.write("one-b", "")
        #expect(try await bench.resume().exitCode == 0)
    }

    @Test func `a safe point within the grace time is waited for`() async throws {
        let bench = try Bench()
        let (signals, sender) = AsyncStream.makeStream(of: RunEngine.Signal.self)
        await bench.events.onStart(of: "steps.1/b") { sender.yield(.interrupt) }
        let stopped = try await bench.run(signals, grace: .seconds(60))
        #expect(stopped.exitCode == 130)
        #expect(stopped.states["b"] == "done")
        #expect(await !bench.events.notices.contains { $0.contains("grace time") })
    }
}

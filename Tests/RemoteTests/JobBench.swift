// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import Synchronization
import TestSupport
import Testing

/// A state directory on this machine and jobs in it; it is gone, and the jobs with it, with the end of the test.
struct JobBench: Sendable {
    let directory: String
    let news = News()

    final class News: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    static func with(_ body: (JobBench) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/pawl jobs-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let bench = JobBench(directory: directory)
        do {
            try await body(bench)
        } catch {
            await bench.clean()
            throw error
        }
        await bench.clean()
    }

    /// Ends what the jobs have left, each by its process id.
    private func clean() async {
        _ = try? await sh(
            """
            for file in */jobs/*/pid; do
              read -r pid birth <"$file" && [ -d /proc/$pid ] || continue
              read -r stat </proc/$pid/stat; set -- ${stat##*) }
              [ "${20}" != "$birth" ] || for p in $(ps -o pid= -s $pid); do kill -9 $p; done
            done 2>/dev/null
            """
        )
        try? FileManager.default.removeItem(atPath: directory)
    }

    var state: NodeState { NodeState(directory: directory + "/state") }

    func path(_ name: String) -> String { directory + "/" + name }

    /// Where the files of a job are.
    func files(of id: JobID = JobBench.id) -> String { path("state/jobs/\(id.directoryName)") }

    func read(_ name: String) -> String { (try? String(contentsOfFile: path(name), encoding: .utf8)) ?? "" }

    static let id = JobID(run: "r1", step: "steps.2/n1", attempt: 1)

    func host(
        _ id: JobID = JobBench.id,
        on host: any RemoteHost = LocalHost(name: "n1"),
        patience change: (inout JobHost.Patience) -> Void = { _ in }
    ) -> JobHost {
        var patience = JobHost.Patience()
        patience.firstPause = .milliseconds(20)
        patience.unreachable = .seconds(5)
        change(&patience)
        return JobHost(host, id: id, state: state, patience: patience) { news.add($0) }
    }

    func command(_ script: String, timeout: Duration = .seconds(40)) -> RemoteCommand {
        var command = RemoteCommand("work", script: script, effect: .mutating, timeout: timeout)
        command.isDetached = true
        return command
    }

    /// A script's output, in the directory of the bench; it must end with 0.
    @discardableResult
    func sh(_ script: String) async throws -> String {
        let result = try await LocalHost().run(
            RemoteCommand("test", script: "cd \(ShellQuoting.quote(directory))\n" + script, effect: .mutating)
        )
        try #require(result.exitCode == 0, "\(script): \(result.errorOutput)")
        return result.output.trimmingCharacters(in: .newlines)
    }

    /// Waits until a condition of the shell holds.
    func await(_ condition: String) async throws {
        try await sh("n=0; until \(condition); do n=$((n + 1)); [ $n -lt 1500 ] || exit 1; sleep 0.01; done")
    }
}

/// A way to this machine that is cut when the test says so: the command's shell is killed with all that it waits for,
/// and what it had begun in a session of its own stays.
final class CutHost: ForwardingHost {
    let inner: any RemoteHost = LocalHost(name: "n1")
    private let cuts = Mutex<[@Sendable (RemoteCommand) async -> Void]>([])
    private let count = Mutex(0)

    var commands: Int { count.withLock { $0 } }

    /// The next command is cut when the body returns.
    func cutNext(when body: @escaping @Sendable (RemoteCommand) async -> Void) {
        cuts.withLock { $0.append(body) }
    }

    func run(_ command: RemoteCommand) async throws(RemoteError) -> CommandResult {
        count.withLock { $0 += 1 }
        guard let cut = cuts.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) else {
            return try await inner.run(command)
        }
        let result = await withTaskGroup(of: Result<CommandResult, RemoteError>.self) { [inner] group in
            group.addTask {
                do throws(RemoteError) {
                    return .success(try await inner.run(command))
                } catch {
                    return .failure(error)
                }
            }
            group.addTask {
                await cut(command)
                return .failure(RemoteError(.inDoubt, host: "n1", "\(command.label): connection lost"))
            }
            let first = await group.next()
            group.cancelAll()
            return first ?? .failure(RemoteError(.inDoubt, host: "n1", "cancelled"))
        }
        return try result.get()
    }
}

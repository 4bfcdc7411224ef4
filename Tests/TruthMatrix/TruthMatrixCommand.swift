// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import RealNodes

/// Sets each known trap of a migration for real, and looks what the bare procedure and what pawl make of it.
///
/// `scripts/truth-matrix` builds it and calls it.
@main
struct TruthMatrixCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "truth-matrix",
        abstract: "Every known trap of a migration on real nodes: what the bare procedure does, and what pawl does.",
        discussion: "stdout is the table; what goes on meanwhile is on stderr."
    )

    @Option(help: "Only these rows, or groups of rows, separated by commas: T1,T12,1.5/hidden.") var rows: String?
    @Flag(help: "Prints the rows and does nothing.") var list = false
    @Flag(help: "Prints the table as JSON.") var json = false
    @Flag(help: "Prints the table as Markdown.") var markdown = false
    @Option(help: "Keys in the v2 store beside those of every kind.") var keys = 1200
    @Option(help: "Where what every pawl said is kept.") var logs: String?
    @Option(help: "An empty directory for the nodes and journals.") var directory: String?

    func validate() throws {
        guard keys >= 1000 else { throw ValidationError("some traps need 1000 keys") }
        guard !(json && markdown) else { throw ValidationError("either --json or --markdown") }
        if !list {
            guard geteuid() == 0 else { throw ValidationError("nodes that boot need root") }
            guard directory != nil else { throw ValidationError("--directory is missing") }
        }
        _ = try chosenScenes()
    }

    func run() async throws {
        let scenes = try chosenScenes()
        if list {
            for trap in scenes.flatMap(\.traps) where isMeant(trap) { print("\(trap.id): \(trap.text)") }
            return
        }
        guard let directory else { return }
        let result: Result<TruthTable, any Error>
        do {
            let bench = try await Testbed.up(
                pawl: Testbed.binary,
                repository: Testbed.repository,
                playbook: "migrate_etcd_v2_to_v3",
                keys: keys,
                in: directory
            )
            result = .success(try await table(of: scenes, on: Site(bench: bench)))
        } catch {
            result = .failure(error)
        }
        // A task of its own, because what cleans up is not begun in one that was cancelled.
        try await Task { try await Testbed.remove(directory, keepingLogs: logs) }.value
        let table = try result.get()
        print(json ? try table.json() : markdown ? table.markdown : table.text + "\n\(table.count)")
        guard table.isAllRight else { throw ExitCode(1) }
    }

    private func table(of scenes: [Scene], on site: Site) async throws -> TruthTable {
        var table = TruthTable()
        for scene in scenes {
            let clock = ContinuousClock.now
            let findings = try await findings(of: scene, on: site)
            let seconds = (ContinuousClock.now - clock).components.seconds
            for (trap, finding) in zip(scene.traps, findings) where isMeant(trap) {
                table.add(trap, finding)
                say("\(trap.id): \(finding.failures.isEmpty ? "as it must be" : "NOT AS IT MUST BE")  (\(seconds) s)")
                for failure in finding.failures { say("    \(failure)") }
            }
        }
        return table
    }

    private func findings(of scene: Scene, on site: Site) async throws -> [Finding] {
        do {
            return try await scene.play(site)
        } catch let error where !(error is CancellationError) {
            // Not a word about pawl, but the row has not shown what it is to show.
            return scene.traps.map { _ in Finding(failures: ["the row could not be done: \(error)"]) }
        }
    }

    private var words: [String] { (rows ?? "").split(separator: ",").map(String.init) }

    private func isMeant(_ trap: Trap) -> Bool { words.isEmpty || words.contains { trap.isMeant(by: $0) } }

    private func chosenScenes() throws -> [Scene] {
        let traps = Scene.all.flatMap(\.traps)
        for word in words where !traps.contains(where: { $0.isMeant(by: word) }) {
            throw ValidationError("there is no row '\(word)'; see --list")
        }
        return Scene.all.filter { $0.traps.contains(where: isMeant) }
    }

    private func say(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}

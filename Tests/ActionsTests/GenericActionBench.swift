// SPDX-License-Identifier: Apache-2.0

import Actions
import Fleet
import Foundation
import Playbooks
import Remote
import Rollout
import Synchronization
import TestSupport

/// A scratch directory and contexts for actions that run on this machine's own shell.
struct GenericActionBench: Sendable {
    /// These actions keep no facts; one that did would fail here.
    private struct NoFacts: FactLedger {
        func fact(_ name: String) async throws(ActionFailure) -> String? {
            throw ActionFailure("no facts were expected, asked for \(name)")
        }

        func record(_ name: String, _ value: String) async throws(ActionFailure) {
            throw ActionFailure("no facts were expected, told \(name)")
        }
    }

    let directory: URL
    let news = News()

    final class News: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    /// Hands out a bench and takes its directory away, whatever happens in between.
    static func with<Result>(_ body: (GenericActionBench) async throws -> Result) async throws -> Result {
        let directory = FileManager.default.temporaryDirectory
            .appending(path: "pawl actions \(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        return try await body(GenericActionBench(directory: directory))
    }

    func path(_ name: String) -> String { directory.appending(path: name).path(percentEncoded: false) }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(name)) }

    func write(_ text: String, to name: String, mode: Int = 0o644) throws {
        let url = URL(filePath: path(name))
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(text.utf8).write(to: url)
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path(name))
    }

    /// A context on a node; the prelude is shell that runs before each of its commands.
    func context(timeout: Duration = .seconds(30), prelude: String = "") -> ActionContext {
        let target = ActionTarget(host: LocalHost(name: "n1", prelude: prelude), variables: [:])
        return ActionContext(
            run: "run",
            step: StepID("steps.1/n1"),
            attempt: 1,
            timeout: timeout,
            target: target,
            cluster: [target],
            completedHosts: [],
            facts: NoFacts(),
            progress: { news.add($0) }
        )
    }

    /// A prelude after which a program is this script.
    func replacing(_ program: String, with script: String) throws -> String {
        try write("#!/bin/sh\n" + script + "\n", to: "bin/\(program)", mode: 0o755)
        return "PATH=\(ShellQuoting.quote(path("bin"))):$PATH; export PATH\n"
    }

    /// A prelude after which only these programs are found.
    func onlyPrograms(_ programs: [String]) throws -> String {
        try FileManager.default.createDirectory(atPath: path("only"), withIntermediateDirectories: true)
        for program in programs {
            let found = ["/usr/bin/", "/bin/"].map { $0 + program }.first { FileManager.default.fileExists(atPath: $0) }
            guard let found else { continue }
            try FileManager.default.createSymbolicLink(atPath: path("only/\(program)"), withDestinationPath: found)
        }
        return "PATH=\(ShellQuoting.quote(path("only"))); export PATH\n"
    }
}

/// The failure that an expression throws; `nil` when it throws none.
func thrown(_ body: @autoclosure () async throws -> some Any) async throws -> ActionFailure? {
    do {
        _ = try await body()
        return nil
    } catch let failure as ActionFailure {
        return failure
    }
}

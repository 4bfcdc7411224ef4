// SPDX-License-Identifier: Apache-2.0

import Foundation
import Journal
import Subprocess
import SystemPackage

/// A directory of a test's own that goes away with it.
func withScratch<Value>(_ body: (URL) async throws -> Value) async throws -> Value {
    let directory = FileManager.default.temporaryDirectory.appending(path: "pawl-journal-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
        at: directory,
        withIntermediateDirectories: true,
        attributes: [.posixPermissions: 0o700]
    )
    defer { try? FileManager.default.removeItem(at: directory) }
    return try await body(directory)
}

/// The error that the body must throw.
func journalError(_ body: () async throws -> some Any) async -> JournalError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? JournalError
    }
}

func sampleRun(_ id: String, at seconds: Double = 1_795_000_000, state: RunState = .running) -> RunRecord {
    RunRecord(
        id: id,
        createdAt: Date(timeIntervalSince1970: seconds),
        playbookPath: "playbooks/migrate.yaml",
        inventoryPaths: ["inventories/prod.yaml", "inventories/é 'x'.yaml"],
        limit: "etcd:!n3",
        extraVariablesJSON: #"{"a":"1"}"#,
        planJSON: #"{"steps":[1,2,3.10]}"#,
        planDigest: "0123abcd",
        state: state,
        exitCode: nil,
        endedAt: state == .running ? nil : Date(timeIntervalSince1970: seconds + 60),
        controllerHost: "controller",
        controllerPID: 4_711,
        version: "1.0.0"
    )
}

func sampleStep(
    _ run: String,
    _ step: String = "steps.1/n1",
    _ kind: StepRecord.Kind = .intent,
    _ status: StepRecord.Status? = nil,
    message: String = ""
) -> StepRecord {
    StepRecord(
        run: run,
        step: step,
        host: "n1",
        kind: kind,
        status: status,
        message: message,
        remedy: status == .failed ? "look at the log" : nil,
        values: ["revision": "20", "päth": "/var/lib/etcd\n\u{0}\""],
        at: Date(timeIntervalSince1970: 1_795_000_000.123_456)
    )
}

/// The permission bits of a file.
func mode(of file: URL) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
    return (attributes[.posixPermissions] as? NSNumber)?.intValue ?? -1
}

/// Runs a program to its end and returns its exit code; a signal counts as -1.
@discardableResult
func run(_ program: String, _ arguments: [String]) async throws -> Int {
    let result = try await Subprocess.run(
        .path(FilePath(program)),
        arguments: Arguments(arguments),
        output: .discarded,
        error: .discarded
    )
    guard case .exited(let code) = result.terminationStatus else { return -1 }
    return Int(code)
}

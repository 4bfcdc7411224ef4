// SPDX-License-Identifier: Apache-2.0

import Engine
import Fleet
import Foundation
import Testing

/// A directory with the files of one test; it is gone with the last reference to it, also when the test fails.
final class Desk: Sendable {
    let path: String

    init(_ files: [String: String] = [:]) throws {
        path = FileManager.default.temporaryDirectory.appending(path: "pawl-engine-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        for (name, text) in files { try write(name, text) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ text: String = "") throws {
        try Data(text.utf8).write(to: URL(filePath: file(name)))
    }

    func remove(_ name: String) throws {
        try FileManager.default.removeItem(atPath: file(name))
    }

    func lines(of name: String) -> [String] {
        guard let data = try? Data(contentsOf: URL(filePath: file(name))) else { return [] }
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    func request(
        playbook: String = "play.yaml",
        inventory: [String] = ["hosts.ini"],
        limit: String? = nil,
        extra: [String] = []
    ) -> RunRequest {
        RunRequest(
            playbook: file(playbook),
            inventory: InventorySources(inventory.map(file)),
            limit: limit,
            extraVariables: extra
        )
    }

    /// What is wrong with a request, one text for each fault: `file:line:column summary`.
    func problems(_ request: RunRequest) -> [String] {
        do throws(DiagnosticsError) {
            _ = try PlayLoader.load(request)
            return []
        } catch {
            return error.diagnostics.map { diagnostic in
                let place = diagnostic.location.map { "\($0) " } ?? ""
                return (place + diagnostic.summary).replacing(path + "/", with: "")
            }
        }
    }
}

/// The top of the repository, from where this file was compiled.
let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path

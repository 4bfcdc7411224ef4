// SPDX-License-Identifier: Apache-2.0

import Foundation

@testable import Lab

/// What the tests ask of the machine that they run on.
enum LabMachine {
    /// Why nodes cannot be booted here; `nil` when they can.
    static func obstacle() async -> String? {
        do {
            try await BootedNode.checkCapability()
            return nil
        } catch {
            return "\(error)"
        }
    }

    static func canBoot() async -> Bool { await obstacle() == nil }

    /// Whether anything of a lab is left on this machine: directory, mounts, bridge, control groups, processes.
    static func remains(of state: LabState) async throws -> [String] {
        var remains: [String] = []
        if FileManager.default.fileExists(atPath: state.directory) { remains.append(state.directory) }
        let mounts = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        if mounts.contains(state.directory) { remains.append("a mount") }
        if let bridge = state.bridge {
            let links = try await LabProgram.check("ip", ["-o", "link"])
            if links.contains(bridge) { remains.append("an interface of \(bridge)") }
        }
        for node in state.nodes where !node.machine.isEmpty {
            for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"] {
                let group = "\(root)/\(node.machine)"
                if FileManager.default.fileExists(atPath: group) { remains.append(group) }
            }
        }
        for entry in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int32(entry) != nil {
            let line = FileManager.default.contents(atPath: "/proc/\(entry)/cmdline") ?? Data()
            if String(decoding: line, as: UTF8.self).contains(state.directory) { remains.append("process \(entry)") }
        }
        remains += LabProcess.carrying(PlainNode.mark(state)).map { "process \($0.id)" }
        return remains
    }

    /// Runs the body with a directory that does not exist yet, and takes down whatever is in it afterwards.
    static func withDirectory<T>(_ body: (String) async throws -> T) async throws -> T {
        let dir = FileManager.default.temporaryDirectory.path + "/pawl-lab-\(UUID().uuidString.prefix(8))"
        let result: Result<T, any Error>
        do { result = .success(try await body(dir)) } catch { result = .failure(error) }
        if FileManager.default.fileExists(atPath: dir + "/.pawl-lab") {
            try await Lab.down(dir: dir)
        } else if FileManager.default.fileExists(atPath: dir) {
            try FileManager.default.removeItem(atPath: dir)
        }
        return try result.get()
    }

    static func withLab<T>(_ options: LabOptions, _ body: (LabState) async throws -> T) async throws -> T {
        try await withDirectory { dir in try await body(Lab.up(options, dir: dir)) }
    }

    /// The keys with values that the v2 API of a node lists.
    static func values(_ node: LabNode) async throws -> [String: String] {
        let url = "\(node.clientURL)/v2/keys/?recursive=true&quorum=true"
        let text = try await LabProgram.check("curl", ["-sS", "--fail", "--noproxy", "*", url])
        var values: [String: String] = [:]
        func walk(_ value: Any) {
            guard let entry = value as? [String: Any] else { return }
            if let key = entry["key"] as? String, let text = entry["value"] as? String { values[key] = text }
            for child in entry["nodes"] as? [Any] ?? [] { walk(child) }
        }
        let answer = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
        if let root = answer?["node"] { walk(root) }
        return values
    }

    // MARK: - A controller that is killed

    /// Says to ``upUntilKilled()``, which runs in a process of its own, what to bring up and when to die.
    static func prepareKill(_ kind: LabOptions.Kind, dir: String, at point: String) {
        setenv("PAWL_LAB_TEST_KIND", kind.rawValue, 1)
        setenv("PAWL_LAB_TEST_POINT", "\(dir)/\(point)", 1)
        setenv("PAWL_LAB_TEST_DIR", dir, 1)
    }

    /// Brings a lab up and dies of SIGKILL as soon as a file is there.
    static func upUntilKilled() async {
        let environment = ProcessInfo.processInfo.environment
        let dir = environment["PAWL_LAB_TEST_DIR"] ?? ""
        let point = environment["PAWL_LAB_TEST_POINT"] ?? ""
        let kind = LabOptions.Kind(rawValue: environment["PAWL_LAB_TEST_KIND"] ?? "") ?? .auto
        await withTaskGroup(of: Void.self) { group in
            group.addTask { _ = try? await Lab.up(LabOptions(kind: kind), dir: dir) }
            group.addTask {
                while !FileManager.default.fileExists(atPath: point) { usleep(200) }
                kill(getpid(), SIGKILL)
            }
        }
    }
}

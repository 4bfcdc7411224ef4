// SPDX-License-Identifier: Apache-2.0

import Etcd
import Foundation
import Playbooks
import Remote
import TestSupport
import Testing

@testable import Engine

/// What `pawl check` finds of the places that the inventory names, on this machine.
@Suite struct HostCheckScriptTests {
    private func problems(backups: String, data: String, isDataSaid: Bool = true) async throws -> [HostProblem] {
        var settings = EtcdSettings(variables: [:])
        (settings.backupDir, settings.dataDir) = (backups, data)
        let script = HostCheckScript(settings, isDataSaid: isDataSaid)
        let command = RemoteCommand("the check", script: script.text, effect: .readOnly)
        let output = try await LocalHost(name: "n1").run(command).output
        var answer = HostCheck.Answer(host: "n1", isUsable: true)
        _ = script.read(output, into: &answer)
        #expect(answer.isUsable == answer.problems.allSatisfy(\.isWarning))
        // Whether this machine has an etcdctl and room is another matter.
        return answer.problems.filter { problem in
            problem.kind == .dataDir || ["absolute", "directory"].contains { problem.message.contains($0) }
        }
    }

    private func inDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.path + "/pawl-check-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try "x".write(toFile: directory + "/file", atomically: true, encoding: .utf8)
        try await body(directory)
    }

    @Test func `places that are there, or can be made, are no problem`() async throws {
        try await inDirectory { directory in
            let found = try await problems(backups: directory + "/a/b", data: directory)
            #expect(found.isEmpty)
        }
    }

    @Test func `a place for backups that is a file, or below one, is a problem`() async throws {
        try await inDirectory { directory in
            for place in ["/file", "/file/below"] {
                let found = try await problems(backups: directory + place, data: directory)
                #expect(found.map(\.kind) == [.disk])
                #expect(found.first?.message == "\(directory)/file, where backups go, is not a directory")
                #expect(found.first?.isWarning == false)
            }
        }
    }

    @Test func `a place for backups that begins nowhere is a problem`() async throws {
        try await inDirectory { directory in
            let found = try await problems(backups: "backups", data: directory)
            #expect(found.map(\.message) == ["backup_dir is `backups`, which is no absolute path"])
        }
    }

    @Test func `a directory of data that is not there is warned of where somebody has named it`() async throws {
        try await inDirectory { directory in
            let data = directory + "/nowhere"
            let found = try await problems(backups: directory, data: data)
            #expect(found.map(\.kind) == [.dataDir])
            #expect(found.first?.message.hasPrefix("no directory \(data) that ") == true)
            #expect(found.first?.isWarning == true)
            #expect(try await problems(backups: directory, data: data, isDataSaid: false).isEmpty)
        }
    }

    @Test func `a node that has two names is told as one, and others are not`() async throws {
        let script = HostCheckScript(EtcdSettings(variables: [:]))
        let command = RemoteCommand("the check", script: script.text, effect: .readOnly)
        var answer = HostCheck.Answer(host: "n1", isUsable: true)
        let here = try #require(
            script.read(try await LocalHost(name: "n1").run(command).output, into: &answer).node
        )
        let survey = NodeSurvey([("n1", here), ("n2", "boot name net:[1]"), ("n3", here)])
        let problem = try #require(survey.problem(here))
        #expect(problem.kind == .sameNode)
        #expect(problem.isWarning)
        #expect(problem.message == "one node has 2 names: n1, n3")
        #expect(survey.problem("boot name net:[1]") == nil)
    }
}

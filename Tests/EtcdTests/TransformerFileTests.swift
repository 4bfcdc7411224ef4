// SPDX-License-Identifier: Apache-2.0

import Foundation
import Remote
import TestSupport
import Testing

@testable import Etcd

/// How a transformer is seen by whoever will run it.
@Suite(.enabled("needs root, to be another user") { geteuid() == 0 })
struct TransformerFileTests {
    private func look(_ path: String, as user: String) async throws -> TransformerFile {
        let result = try await LocalHost().run(
            RemoteCommand("look", script: TransformerFile.script(path, user: user), effect: .readOnly)
        )
        return try #require(NodeFacts(report: result.output, etcdctl: "", hasMigrate: false).transformer, "\(result)")
    }

    @Test(arguments: [
        ("#!/bin/sh\n", "755", "nobody", TransformerFile.Fitness.fit, nil),
        ("#! /usr/bin/env  sh\n", "755", "nobody", .fit, nil),
        ("#!/usr/bin/env -S sh -e\n", "755", "nobody", .fit, nil),
        ("\u{7F}ELF\u{0}#!/nothing", "755", "nobody", .fit, nil),
        ("#!/bin/sh\n", "644", "nobody", .notExecutable, nil),
        ("#!/bin/sh\n", "644", "root", .notExecutable, nil),
        ("#!/bin/sh\n", "700", "nobody", .notExecutable, nil),
        ("#!/bin/sh\n", "711", "nobody", .notReadable, nil),
        ("#!/no/shell -e\n", "755", "nobody", .noInterpreter, "/no/shell"),
        ("#!/usr/bin/env no-shell\n", "755", "nobody", .noInterpreter, "no-shell"),
    ])
    func `a program is fit or it is said why not`(
        _ text: String,
        mode: String,
        user: String,
        fitness: TransformerFile.Fitness,
        interpreter: String?
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "pawl a'b \(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "program")
        try Data(text.utf8).write(to: file)
        let modes = [(directory.path, 0o755), (file.path, try #require(Int(mode, radix: 8)))]
        for (path, mode) in modes {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
        let found = try await look(file.path, as: user)
        #expect(found.fitness == fitness)
        #expect(found.interpreter == interpreter)
        #expect(found.path == file.path)
        #expect(found.digest?.count == 64)
        // Nobody comes to it where its directory is closed.
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: directory.path)
        if user != "root" { #expect(try await look(file.path, as: user).fitness == .notExecutable) }
        #expect(try await look(directory.path, as: user).fitness == .missing)
        #expect(try await look(directory.path + "/none", as: user).digest == nil)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A throw-away etcd cluster on this machine, made of real nodes: each has its own sshd and its own etcd.
package enum Lab {
    /// Brings a lab up in a directory that is empty or does not exist yet, and comes back when every node lets us in
    /// and etcd is healthy with one leader.
    ///
    /// A lab that is up already is left as it is and returned; the rest of one that was never finished is taken down
    /// first. When anything fails, everything that was made is removed.
    package static func up(_ options: LabOptions, dir: String) async throws -> LabState {
        try options.validate()
        let layout = try LabLayout(directory: absolute(dir))
        guard layout.directory.isPlainPath else {
            throw LabError(
                .options,
                "the directory '\(layout.directory)' has characters that mount and sshd read otherwise",
                remedy: "use letters, digits and . _ - + @ only"
            )
        }
        let wanted = try await kind(options.kind)
        let lock = try LabLock(creating: layout)
        defer { lock.release() }
        if let running = try await existing(layout, options) { return running }
        do {
            return try await make(wanted.kind, options, layout, notice: wanted.notice)
        } catch {
            // The first error is the one to tell; what cannot be removed now, `down` says again. A task of its own,
            // because a cancelled one would no longer start the programs that clean up.
            await Task { try? await LabTeardown(layout: layout).run(keepingMarker: false) }.value
            throw error
        }
    }

    /// Takes down what is in the directory and removes it.
    ///
    /// Nothing happens when it does not exist; a directory that is no lab is refused. Works from the files of the lab
    /// alone, whatever became of the process that made it.
    package static func down(dir: String) async throws {
        let layout = try LabLayout(directory: absolute(dir))
        guard FileManager.default.fileExists(atPath: layout.directory) else { return }
        let lock = try LabLock(existing: layout)
        defer { lock.release() }
        try await LabTeardown(layout: layout).run(keepingMarker: false)
    }

    /// Which kind of nodes this machine can have, and why not the better one.
    package static func kind(_ kind: LabOptions.Kind) async throws -> (kind: LabOptions.Kind, notice: String?) {
        var notice: String?
        if kind != .plain {
            do {
                try await BootedNode.checkCapability()
                return (.booted, nil)
            } catch {
                if kind == .booted { throw error }
                notice = "plain nodes, because: \((error as? LabError)?.message ?? "\(error)")"
            }
        }
        try LabProgram.require(PlainNode.programs)
        return (.plain, notice)
    }

    private static func existing(_ layout: LabLayout, _ options: LabOptions) async throws -> LabState? {
        guard FileManager.default.fileExists(atPath: layout.state) else { return nil }
        let state = try LabState.load(layout.directory)
        guard state.phase == .up else {
            try await LabTeardown(layout: layout).run(keepingMarker: true)
            return nil
        }
        guard state.options == options else {
            throw LabError(
                .notALab,
                "\(layout.directory) holds a lab with other options",
                remedy: "`pawl lab down --dir \(layout.directory)` first"
            )
        }
        try await LabReadiness(state).wait()
        return state
    }

    private static func make(
        _ kind: LabOptions.Kind,
        _ options: LabOptions,
        _ layout: LabLayout,
        notice: String?
    ) async throws -> LabState {
        if kind == .plain, options.limitedDisk != nil {
            throw LabError(.options, "plain nodes have no disks of their own", remedy: "use booted nodes, as root")
        }
        var state = blank(kind, options, layout, notice: notice)
        try state.save()
        try layout.makeDirectory(layout.logs)
        try layout.makeDirectory(layout.nodes)
        if kind == .booted {
            try await BootedNode.mountMemoryIfNeeded(layout)
            try await LabNetwork.makeBridge(&state)
        } else {
            try PlainNode.chooseNetwork(&state)
            try state.save()
        }
        try await LabKeys.make(state)
        if options.tls == true { try await LabCertificates.make(state) }
        let prepared = state
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in prepared.nodes {
                group.addTask {
                    if kind == .booted {
                        try await BootedNode.prepare(node, in: prepared)
                        try await BootedNode.boot(node, in: prepared)
                    } else {
                        try PlainNode.prepare(node, in: prepared)
                        try await PlainNode.start(node)
                    }
                }
            }
            try await group.waitForAll()
        }
        try layout.write(LabInventory.text(state), to: layout.inventory)
        try await LabReadiness(state).wait()
        state.phase = .up
        try state.save()
        return state
    }

    private static func blank(
        _ kind: LabOptions.Kind,
        _ options: LabOptions,
        _ layout: LabLayout,
        notice: String?
    ) -> LabState {
        let id = UUID().uuidString.lowercased().filter { $0 != "-" }
        let nodes = (1...options.nodes).map { number in
            LabNode(
                name: "etcd\(number)",
                kind: kind,
                directory: "\(layout.nodes)/etcd\(number)",
                address: "",
                sshPort: kind == .booted ? 22 : 22022,
                clientPort: 2379,
                peerPort: 2380,
                user: kind == .booted ? "admin" : NSUserName(),
                machine: "",
                tls: options.tls
            )
        }
        return LabState(
            id: id,
            kind: kind,
            phase: .starting,
            directory: layout.directory,
            network: "",
            bridge: nil,
            options: options,
            nodes: nodes,
            notice: notice
        )
    }

    /// Absolute and without symbolic links, as the kernel will show it in its list of mounts.
    private static func absolute(_ dir: String) throws -> String {
        let url = URL(filePath: dir).standardizedFileURL
        let parent = url.deletingLastPathComponent()
        guard let real = realpath(url.path, nil) ?? realpath(parent.path, nil) else {
            throw LabError(.options, "\(parent.path) does not exist", remedy: "make it first, or choose another --dir")
        }
        defer { free(real) }
        let path = String(cString: real)
        let isWhole = FileManager.default.fileExists(atPath: url.path)
        return isWhole ? path : (path == "/" ? "" : path) + "/" + url.lastPathComponent
    }
}

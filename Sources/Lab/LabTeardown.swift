// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Removes a lab, however far it came.
///
/// It ends processes that the lab's files name with id and start time, or that carry the lab's id in their environment;
/// it unmounts what is mounted inside the lab's directory; it removes the bridge that has the lab's hardware address,
/// and the directory. Nothing else is touched.
struct LabTeardown {
    var layout: LabLayout

    /// Ends and removes everything; `keepingMarker` leaves an empty lab, for another one to be made in its place.
    func run(keepingMarker: Bool) async throws {
        // A lab without a state was killed before it made anything.
        if FileManager.default.fileExists(atPath: layout.state) {
            let state = try LabState.load(layout.directory)
            guard state.directory == layout.directory else {
                throw LabError(
                    .notALab,
                    "\(layout.state) is the state of a lab in \(state.directory)",
                    remedy: "a copy of a lab is no lab; remove it by hand"
                )
            }
            try layout.write("", to: layout.ending)
            try await endNodes(of: state)
            try await LabNetwork.removeBridge(state)
        }
        try await unmount()
        if keepingMarker {
            try await removeContent()
        } else {
            try await LabProgram.check("rm", ["-rf", "--one-file-system", "--", layout.directory])
        }
    }

    private func endNodes(of state: LabState) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for node in state.nodes {
                group.addTask {
                    if node.kind == .plain {
                        try await PlainNode.kill(node)
                    } else {
                        try await BootedNode.powerOff(node)
                    }
                }
            }
            try await group.waitForAll()
        }
        // What a login to a plain node left running, and a booted node whose supervisor is gone.
        for process in LabProcess.carrying(PlainNode.mark(state)) { _ = await process.end() }
        for node in state.nodes { try await BootedNode.removeControlGroups(node) }
    }

    /// From the innermost mount outwards.
    private func unmount() async throws {
        let table = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        let points = table.split(separator: "\n").compactMap { line -> String? in
            let fields = line.split(separator: " ")
            return fields.count > 4 ? String(fields[4]) : nil
        }
        let inside = points.filter { $0.hasPrefix(layout.directory + "/") }
        for point in inside.sorted(by: { $0.count > $1.count }) { try await LabProgram.check("umount", [point]) }
    }

    private func removeContent() async throws {
        let marker = (layout.marker as NSString).lastPathComponent
        let content = try FileManager.default.contentsOfDirectory(atPath: layout.directory)
        let paths = content.filter { $0 != marker }.map { "\(layout.directory)/\($0)" }
        try await LabProgram.check("rm", ["-rf", "--one-file-system", "--"] + paths)
    }
}

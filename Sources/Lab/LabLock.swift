// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The marker of a lab's directory, held locked while the lab is brought up or taken down.
///
/// The kernel lets go of it with the process, so a killed controller keeps nobody out.
struct LabLock {
    private let descriptor: Int32

    /// Takes a directory that does not exist, is empty, or is a lab.
    init(creating layout: LabLayout) throws {
        let files = FileManager.default
        var isDirectory: ObjCBool = false
        if files.fileExists(atPath: layout.directory, isDirectory: &isDirectory) {
            let content = isDirectory.boolValue ? try files.contentsOfDirectory(atPath: layout.directory) : ["?"]
            guard content.isEmpty || files.fileExists(atPath: layout.marker) else {
                throw LabError(
                    .notALab,
                    "\(layout.directory) is not empty and not a lab",
                    remedy: "choose a directory that is empty or does not exist"
                )
            }
        } else {
            try layout.makeDirectory(layout.directory)
        }
        try self.init(layout, flags: O_CREAT)
    }

    init(existing layout: LabLayout) throws {
        guard FileManager.default.fileExists(atPath: layout.marker) else {
            throw LabError(
                .notALab,
                "\(layout.directory) is not a lab: it has no \((layout.marker as NSString).lastPathComponent)",
                remedy: "name the directory that was given to `pawl lab up`"
            )
        }
        try self.init(layout, flags: 0)
    }

    private init(_ layout: LabLayout, flags: Int32) throws {
        descriptor = open(layout.marker, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0o600)
        guard descriptor >= 0 else {
            throw LabError(.notALab, "\(layout.marker) cannot be opened: \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw LabError(
                .busy,
                "another process brings the lab in \(layout.directory) up or down",
                remedy: "wait for it, or end it and try again"
            )
        }
    }

    /// Unlocked in so many words: a child between its fork and its exec has the descriptor too, and closing ours alone
    /// would leave the lock with it.
    func release() {
        _ = flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Where the files of an SSH configuration are.
package struct SSHConfigDisk: Sendable {
    package enum Content: Sendable {
        case missing
        case unreadable(String)
        /// Whether root or the user owns the file, and nobody else may write to it.
        case text(String, isOwn: Bool)
        /// The same of a directory, which is no configuration.
        case folder(isOwn: Bool)
    }

    package var read: @Sendable (String) -> Content
    /// The paths that a pattern of the shell matches, `~` included.
    package var glob: @Sendable (String) -> [String]

    package init(
        read: @escaping @Sendable (String) -> Content,
        glob: @escaping @Sendable (String) -> [String]
    ) {
        self.read = read
        self.glob = glob
    }

    /// The disk of this machine.
    package static let local = SSHConfigDisk(read: contents, glob: paths)

    @Sendable private static func contents(_ path: String) -> Content {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            let code = errno
            // What OpenSSH cannot open, it passes over; a file that is there and says nothing would be a surprise.
            return code == ENOENT || code == ENOTDIR
                ? .missing : .unreadable("cannot be read: \(String(cString: strerror(code)))")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .unreadable("cannot be looked at") }
        let ownership = SSHConfigOwnership(owner: status.st_uid, group: status.st_gid, mode: status.st_mode)
        let isOwn = ownership.isOwn(of: getuid())
        guard status.st_mode & S_IFMT != S_IFDIR else { return .folder(isOwn: isOwn) }
        guard let data = try? handle.readToEnd() ?? Data() else { return .unreadable("cannot be read") }
        return .text(String(decoding: data, as: UTF8.self), isOwn: isOwn)
    }

    @Sendable private static func paths(_ pattern: String) -> [String] {
        var found = glob_t()
        defer { globfree(&found) }
        guard Foundation.glob(pattern, GLOB_TILDE, nil, &found) == 0, let list = found.gl_pathv else { return [] }
        return (0..<Int(found.gl_pathc)).compactMap { list[$0].map { String(cString: $0) } }
    }
}

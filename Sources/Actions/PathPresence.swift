// SPDX-License-Identifier: Apache-2.0

import Remote

/// Whether a path is there, which `test -e` does not tell: it says no as well where looking is not allowed.
enum PathPresence: Sendable, Equatable {
    case present
    case absent
    case unknown(String)

    /// Looks without changing anything.
    ///
    /// A symbolic link whose target is missing is there.
    static func of(_ path: String, on host: any RemoteHost) async throws(ActionFailure) -> PathPresence {
        let script = "LC_ALL=C ls -d -- \(ShellQuoting.quote(path))\n"
        let result: CommandResult
        do {
            result = try await host.run(RemoteCommand("look for \(path)", script: script, effect: .readOnly))
        } catch {
            throw ActionFailure(error)
        }
        if result.exitCode == 0 { return .present }
        let complaint = result.errorOutput.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
        // The texts of ENOENT and ENOTDIR, the same in glibc, musl and BusyBox.
        let isAbsent = complaint.hasSuffix("No such file or directory") || complaint.hasSuffix("Not a directory")
        return isAbsent ? .absent : .unknown(complaint.isEmpty ? "ls ended with \(result.exitCode)" : complaint)
    }
}

extension ActionContext {
    /// The node of a step of host scope.
    func requiredHost(for word: String) throws(ActionFailure) -> any RemoteHost {
        guard let target else { throw ActionFailure("`\(word)` runs on a host, and this step has none") }
        return target.host
    }
}

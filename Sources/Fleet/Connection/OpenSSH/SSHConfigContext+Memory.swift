// SPDX-License-Identifier: Apache-2.0

import Synchronization

extension SSHConfigContext {
    /// The same, with each command of `Match exec` run once.
    ///
    /// `ssh` runs it anew for each host, because each host is another `ssh`. Commands that name the host (`%h`, `%n`) still
    /// run for each, since the words differ; one that asks about this machine is asked once for all hosts of a command of pawl.
    package func remembering() -> SSHConfigContext {
        let memory = ExecMemory(execute)
        var context = self
        context.execute = { memory.result(of: $0) }
        return context
    }
}

/// What the commands of `Match exec` came to.
///
/// ## Concurrency
/// The results are behind the mutex, which is held while a command runs: nobody runs the same one beside it.
private final class ExecMemory: Sendable {
    private let execute: @Sendable (String) -> Int32?
    private let results = Mutex<[String: Int32?]>([:])

    init(_ execute: @escaping @Sendable (String) -> Int32?) { self.execute = execute }

    func result(of command: String) -> Int32? {
        results.withLock { results in
            if let known = results[command] { return known }
            let result = execute(command)
            results[command] = .some(result)
            return result
        }
    }
}

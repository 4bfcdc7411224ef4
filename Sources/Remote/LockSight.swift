// SPDX-License-Identifier: Apache-2.0

/// What a node shows of its lock, and what tells the node from others.
package struct LockSight: Sendable, Hashable {
    /// The node's state directory, absolute, as whoever asked has it.
    package var directory: String
    /// Puts nodes into an order on which all controllers agree, whatever their inventories call the nodes.
    package var rank: String
    /// The highest token that a lock here ever had; 0 where there was none.
    package var token: Int
    /// Who may change the node; `nil` where nobody may.
    package var lock: NodeLock?

    package init(directory: String, rank: String, token: Int, lock: NodeLock? = nil) {
        self.directory = directory
        self.rank = rank
        self.token = token
        self.lock = lock
    }

    /// Reads what ``LockScript/look(_:)`` printed.
    ///
    /// - Throws: ``LockAnswerError`` when the node says that the lock cannot be read, or says nothing.
    package init(output: String) throws(LockAnswerError) {
        let answer = LockFields(output)
        if let error = answer["error"] { throw LockAnswerError(error) }
        guard let directory = answer["state"], directory.hasPrefix("/"), let token = answer["token"].flatMap(Int.init)
        else { throw LockAnswerError("its lock was asked for, and it gave no answer") }
        self.init(
            directory: directory,
            rank: [answer["machine"], answer["boot"], directory].map { $0 ?? "" }.joined(separator: " "),
            token: token,
            lock: answer.lock
        )
    }
}

/// Why a node's lock could be neither read nor changed.
package struct LockAnswerError: Error, Sendable, Hashable, CustomStringConvertible {
    package var message: String

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}

/// Lines of `name=value`, those of a lock as `lock.name=value`.
struct LockFields {
    private var values: [String: String] = [:]
    private var lockValues: [String: String] = [:]

    init(_ output: String) {
        for line in output.split(separator: "\n") {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let name = line[..<equals]
            let value = String(line[line.index(after: equals)...])
            if name.hasPrefix("lock.") {
                lockValues[String(name.dropFirst(5))] = value
            } else {
                values[String(name)] = value
            }
        }
    }

    subscript(_ name: String) -> String? { values[name] }

    var lock: NodeLock? { values["held"] == "yes" ? NodeLock(fields: lockValues) : nil }
}

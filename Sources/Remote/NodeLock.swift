// SPDX-License-Identifier: Apache-2.0

/// Who may change a node: the content of the file `lock` in its state directory.
///
/// The form is lines of `name=value` (docs/design/lock.md). Nothing in it is a secret.
package struct NodeLock: Sendable, Hashable {
    /// What tells one lock from every other.
    package struct Key: Sendable, Hashable {
        package var run: String
        /// No two locks of a node ever have the same.
        package var token: Int
        /// Of one taking: two controllers that resume one run in the same instant find the same token.
        package var nonce: String

        package init(run: String, token: Int, nonce: String) {
            self.run = run
            self.token = token
            self.nonce = nonce
        }
    }

    /// The controller that took it.
    package struct Controller: Sendable, Hashable {
        /// The user who started it.
        package var owner: String
        package var host: String
        /// The boot of its machine.
        package var boot: String
        /// The process namespace in which `pid` counts: two containers of one machine have one boot and two of these.
        package var space: String
        package var pid: Int32
        /// When the process started, in the kernel's own count since the boot.
        package var start: String

        package init(owner: String, host: String, boot: String, space: String, pid: Int32, start: String) {
            self.owner = owner
            self.host = host
            self.boot = boot
            self.space = space
            self.pid = pid
            self.start = start
        }
    }

    package static let format = 1
    /// A shell counts in 64 bits; a token that comes near that was not written by pawl.
    package static let highestToken = 999_999_999_999_999

    package var key: Key
    package var controller: Controller
    /// When it was taken, in UTC: `2026-11-21T06:35:38Z`.
    package var since: String
    /// `run`, `resume`, `rollback`, or the words of an operator.
    package var reason: String

    package init(key: Key, controller: Controller, since: String, reason: String) {
        self.key = key
        self.controller = controller
        self.since = since
        self.reason = reason
    }

    /// The content of the file.
    package var text: String {
        [
            ("format", "\(Self.format)"), ("token", "\(key.token)"), ("run", key.run), ("nonce", key.nonce),
            ("owner", controller.owner),
            ("host", controller.host), ("boot", controller.boot), ("space", controller.space),
            ("pid", "\(controller.pid)"), ("start", controller.start), ("since", since), ("reason", reason),
        ].map { "\($0.0)=\(Self.line($0.1))\n" }.joined()
    }

    /// Reads the content of the file, as leniently.
    init(text: String) {
        var fields: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            if parts.count == 2 { fields[parts[0]] = parts[1] }
        }
        self.init(fields: fields)
    }

    /// Reads what a node told of its lock, leniently: what is missing is empty, for a damaged lock is a lock.
    init(fields: [String: String]) {
        func text(_ name: String) -> String { Self.line(fields[name] ?? "") }
        self.init(
            key: Key(
                run: fields["run"] ?? "",
                token: fields["token"].flatMap(Int.init) ?? 0,
                nonce: fields["nonce"] ?? ""
            ),
            controller: Controller(
                owner: text("owner"),
                host: text("host"),
                boot: text("boot"),
                space: text("space"),
                pid: fields["pid"].flatMap(Int32.init) ?? 0,
                start: text("start")
            ),
            since: text("since"),
            reason: text("reason")
        )
    }

    /// The text on one line, without control characters, and cut where somebody wrote a letter.
    package static func line(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(500).map { scalar in
            scalar.properties.generalCategory == .control ? " " : scalar
        }
        return String(String.UnicodeScalarView(scalars))
    }
}

extension NodeLock: CustomStringConvertible {
    /// Who holds it, since when and for what, as an operator wants to read it.
    package var description: String {
        func known(_ text: String, else other: String) -> String { text.isEmpty ? other : text }
        let process = controller.pid > 0 ? " (process \(controller.pid))" : ""
        return "run \(known(key.run, else: "of an unknown name")) of \(known(controller.owner, else: "somebody")) on "
            + "\(known(controller.host, else: "an unknown host"))\(process), "
            + "since \(known(since, else: "an unknown time")), reason: \(known(reason, else: "not said"))"
    }
}

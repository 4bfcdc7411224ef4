// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The value of `ProxyJump`: the hop before the host, and those before that.
struct SSHJump: Hashable, Sendable {
    var user: String?
    var host: String
    var port: Int?
    /// The hops before it, as they were written, with commas between them.
    var before: String?

    /// Reads a value that has no problem; `nil` for `none`.
    init?(_ text: String) {
        let value = Self.value(of: text)
        guard value.lowercased() != "none" else { return nil }
        let parts = value.split(separator: ",", omittingEmptySubsequences: false)
        guard let last = parts.last, let hop = Self.hop(last) else { return nil }
        self = hop
        before = parts.count > 1 ? parts.dropLast().joined(separator: ",") : nil
    }

    /// Reads `ssh://[user@]host[:port]`; `nil` for anything else.
    init?(uri text: String) {
        guard text.hasPrefix("ssh://"), let hop = Self.hop(text[...]) else { return nil }
        self = hop
    }

    private init(user: String?, host: String, port: Int?) {
        (self.user, self.host, self.port) = (user, host, port)
    }

    /// As `ssh -G` prints it.
    var text: String {
        let isNumeric = host.contains(":") || host.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") }
        return (before.map { $0 + "," } ?? "") + (user.map { $0 + "@" } ?? "") + (isNumeric ? "[\(host)]" : host)
            + (port.map { ":\($0)" } ?? "")
    }

    /// All hops of a value that has no problem, in their order.
    static func hops(_ text: String) -> [SSHJump] {
        let value = value(of: text)
        guard value.lowercased() != "none" else { return [] }
        return value.split(separator: ",").compactMap(hop)
    }

    static func problem(with text: String) -> String? {
        let value = value(of: text)
        if value.lowercased() == "none" { return nil }
        // What ssh makes of it depends on where it stands: it refuses the value, or cuts it there.
        if value.contains(where: \.isWhitespace) { return "ProxyJump `\(value)` has white space in it" }
        for part in value.split(separator: ",", omittingEmptySubsequences: false) where hop(part) == nil {
            return "`\(part)` is no hop of ProxyJump"
        }
        return nil
    }

    /// Without a comment.
    private static func value(of text: String) -> Substring {
        let value = text.prefix { $0 != "#" }
        let last = value.lastIndex { $0 != " " && $0 != "\t" }
        return last.map { value[...$0] } ?? ""
    }

    /// `[user@]host[:port]` or `ssh://[user@]host[:port]`.
    private static func hop(_ text: Substring) -> SSHJump? {
        let isURI = text.hasPrefix("ssh://")
        var rest = isURI ? text.dropFirst(6) : text
        if isURI, rest.hasSuffix("/") { rest = rest.dropLast() }
        var user: String?
        if let at = isURI ? rest.firstIndex(of: "@") : rest.lastIndex(of: "@") {
            let name = rest[..<at].prefix { !isURI || $0 != ";" }
            guard !name.isEmpty, let decoded = isURI ? String(name).removingPercentEncoding : String(name) else {
                return nil
            }
            user = decoded
            rest = rest[rest.index(after: at)...]
        }
        let host: Substring
        if rest.hasPrefix("["), let close = rest.firstIndex(of: "]") {
            host = rest[rest.index(after: rest.startIndex)..<close]
            rest = rest[rest.index(after: close)...]
        } else {
            host = rest.prefix { $0 != ":" && $0 != "/" }
            rest = rest.dropFirst(host.count)
        }
        guard !host.isEmpty, !host.hasPrefix("-"), rest.isEmpty || rest.hasPrefix(":") else { return nil }
        guard !isURI || isDomain(host) else { return nil }
        let name = isURI && host.hasSuffix(".") ? host.dropLast() : host
        let digits = rest.dropFirst()
        if digits.isEmpty { return SSHJump(user: user, host: String(name), port: nil) }
        guard let port = SSHConfigDirective.port(String(digits)) else { return nil }
        return SSHJump(user: user, host: String(name), port: port)
    }

    /// What OpenSSH 9.2 takes for the host of a URI: names and addresses of IPv4.
    private static func isDomain(_ host: Substring) -> Bool {
        host.wholeMatch(of: /[A-Za-z0-9_][A-Za-z0-9_.-]*/) != nil && !host.contains("..")
    }
}

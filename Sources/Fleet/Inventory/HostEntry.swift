// SPDX-License-Identifier: Apache-2.0

/// What a host's entry stands for, in the INI and the YAML form alike: names, and the port if one is given.
struct HostEntry {
    var names: [String]
    var port: Located?

    init(_ text: String, at location: SourceLocation) throws(DiagnosticsError) {
        func refused(_ summary: String, _ remedy: String) -> DiagnosticsError {
            DiagnosticsError([Diagnostic(at: location, summary, remedy: remedy)])
        }
        var address = HostAddress.parse(text) ?? HostAddress(host: text)
        if address.port == nil, !HostAddress.isIPv6(address.host), let colon = Self.portColon(in: address.host) {
            let port = address.host[address.host.index(after: colon)...]
            guard !port.isEmpty else {
                throw refused("`\(text)` ends in a colon", "remove the colon, or give the port after it")
            }
            guard port.utf8.allSatisfy(YAMLScalar.isDigit) else {
                throw refused(
                    "`\(port)` after the colon in `\(text)` is not a port",
                    "give a whole number from 1 to 65535, or put an IPv6 address in brackets"
                )
            }
            address = HostAddress(host: String(address.host[..<colon]), port: String(port))
        }
        if let port = address.port {
            guard let number = Int(port), (1...65535).contains(number) else {
                throw refused("the port \(port) in `\(text)` does not exist", "give a whole number from 1 to 65535")
            }
            self.port = Located(value: .int(number), location: location)
        }
        do {
            names = try HostRange.expand(address.host)
        } catch {
            throw refused(error.summary, error.remedy)
        }
        if let name = names.first(where: { $0.isEmpty || $0 == "---" || $0.contains(where: Self.isForbidden) }) {
            throw refused(
                "`\(name)` is not a host name",
                "give one host on a line, without spaces, commas, slashes, `!` or `&` in its name"
            )
        }
    }

    /// The colon outside of brackets; names have none, and what has several is an address, as `fe80::1%eth0`.
    private static func portColon(in text: String) -> String.Index? {
        var depth = 0
        var colons: [String.Index] = []
        for index in text.indices {
            switch text[index] {
            case "[": depth += 1
            case "]": depth -= 1
            case ":" where depth == 0: colons.append(index)
            default: break
            }
        }
        return colons.count == 1 ? colons[0] : nil
    }

    /// Characters that host patterns give a meaning, so that such a host could never be named, and those of paths.
    private static func isForbidden(_ character: Character) -> Bool {
        character.isWhitespace || character == "," || character == "!" || character == "&" || character == "]"
            || character == "/"
    }
}

// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The first word of a host's entry: a name, an address or a range of names, with or without a port.
///
/// Follows `parse_address` of Ansible's `parsing/utils/addresses.py`.
struct HostAddress: Equatable {
    var host: String
    var port: String?

    /// The host and port, or `nil` where the text is no address in Ansible's sense, as `etcd:&prod`.
    static func parse(_ text: String) -> HostAddress? {
        let address = split(text)
        return isIPv6(address.host) || isHostname(address.host) ? address : nil
    }

    /// Takes off `:digits`, which an IPv6 address may have after brackets only.
    private static func split(_ text: String) -> HostAddress {
        guard let colon = text.lastIndex(of: ":") else { return HostAddress(host: text) }
        let port = text[text.index(after: colon)...]
        let host = text[..<colon]
        guard !port.isEmpty, port.utf8.allSatisfy(YAMLScalar.isDigit) else { return HostAddress(host: text) }
        if host.hasPrefix("["), host.hasSuffix("]"), host.count > 2, isIPv6(String(host.dropFirst().dropLast())) {
            return HostAddress(host: String(host.dropFirst().dropLast()), port: String(port))
        }
        guard withoutRanges(String(host))?.contains(where: { $0 == ":" || $0 == "[" || $0 == "]" }) == false else {
            return HostAddress(host: text)
        }
        return HostAddress(host: String(host), port: String(port))
    }

    /// The text with each complete bracketed part replaced by one digit; `nil` where brackets do not match.
    private static func withoutRanges(_ text: String) -> String? {
        var result = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "[") {
            guard let close = rest[open...].firstIndex(of: "]") else { return nil }
            result += rest[..<open] + "1"
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    /// Whether the text is an IPv6 address, with or without ranges in it.
    static func isIPv6(_ text: String) -> Bool {
        guard let plain = withoutRanges(text), plain.filter({ $0 == ":" }).count >= 2 else { return false }
        var address = in6_addr()
        return inet_pton(AF_INET6, plain, &address) == 1
    }

    /// Whether the text is four numbers from 0 to 255.
    static func isIPv4(_ text: String) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                (1...3).contains(part.utf8.count) && part.utf8.allSatisfy(YAMLScalar.isDigit)
                    && (Int(part) ?? 256) < 256
            }
    }

    /// Labels with dots between them; a label begins with a letter, a digit or a range and does not end with `-` or `_`.
    private static func isHostname(_ text: String) -> Bool {
        var labels: [[Unicode.Scalar]] = [[]]
        var rest = text.unicodeScalars[...]
        while let scalar = rest.first {
            switch scalar {
            case ".":
                labels.append([])
                rest = rest.dropFirst()
            case "[":
                guard let close = rest.firstIndex(of: "]"),
                    isRange(String(rest[rest.index(after: rest.startIndex)..<close]))
                else { return false }
                labels[labels.count - 1].append("0")
                rest = rest[rest.index(after: close)...]
            default:
                labels[labels.count - 1].append(scalar)
                rest = rest.dropFirst()
            }
        }
        return labels.allSatisfy { label in
            guard let first = label.first, let last = label.last else { return false }
            return PythonNumber.isWordCharacter(first) && last != "-" && last != "_"
                && label.allSatisfy { PythonNumber.isWordCharacter($0) || $0 == "-" }
        }
    }

    /// `a:f`, `01:50`, `0:8:2`: letters alone or digits, with a step or without.
    private static func isRange(_ text: String) -> Bool {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        func isNumber(_ part: Substring) -> Bool { !part.isEmpty && part.utf8.allSatisfy(YAMLScalar.isDigit) }
        func isLetter(_ part: Substring) -> Bool { part.count == 1 && part.allSatisfy { $0.isASCII && $0.isLetter } }
        guard parts.count == 2 || (parts.count == 3 && isNumber(parts[2])) else { return false }
        return (isNumber(parts[0]) && isNumber(parts[1])) || (isLetter(parts[0]) && isLetter(parts[1]))
    }
}

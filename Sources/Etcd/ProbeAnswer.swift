// SPDX-License-Identifier: Apache-2.0

import Remote

/// The answers of a ``ProbeScript``, by the names of its parts.
struct ProbeAnswer: Sendable {
    struct Part: Sendable {
        enum Code: Sendable, Equatable {
            case http(Int)
            case exit(Int)
        }
        var code: Code
        var body: ArraySlice<UInt8>

        var isGood: Bool { code == .http(200) || code == .exit(0) }
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    let host: String
    let endpoint: String
    private let parts: [String: Part]
    private let errorOutput: String

    init(host: String, endpoint: String, mark: String, result: CommandResult) {
        self.host = host
        self.endpoint = endpoint
        errorOutput = result.errorOutput
        parts = Self.split(result.standardOutput, mark: Array("\n\(mark) ".utf8))
    }

    /// A later part of the same name replaces an earlier one: etcdctl's answer that of a gateway which is off.
    private static func split(_ bytes: [UInt8], mark: [UInt8]) -> [String: Part] {
        var parts: [String: Part] = [:]
        var begin = bytes.startIndex
        var at = bytes.startIndex
        let newline = UInt8(ascii: "\n")
        while let next = bytes[at...].firstIndex(of: newline) {
            guard bytes[next...].starts(with: mark) else {
                at = next + 1
                continue
            }
            let lineBegin = next + mark.count
            let lineEnd = bytes[lineBegin...].firstIndex(of: newline) ?? bytes.endIndex
            let words = String(decoding: bytes[lineBegin..<lineEnd], as: UTF8.self).split(separator: " ")
            if words.count == 3, let number = Int(words[2]) {
                let code = words[1] == "http" ? Part.Code.http(number) : .exit(number)
                let body = code == .exit(0) ? withoutLog(bytes[begin..<next]) : bytes[begin..<next]
                parts[String(words[0])] = Part(code: code, body: body)
            }
            begin = min(lineEnd + 1, bytes.endIndex)
            at = lineEnd
        }
        return parts
    }

    /// What etcdctl says on its standard error while it succeeds, as that authentication is off for a user who is named,
    /// stands in front of its answer where both are read.
    private static func withoutLog(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let entry = Array(#"{"level":""#.utf8)
        var rest = bytes
        while rest.starts(with: entry), let end = rest.firstIndex(of: UInt8(ascii: "\n")) { rest = rest[(end + 1)...] }
        return rest
    }

    subscript(_ name: String) -> Part? { parts[name] }

    /// The answer to a request, whatever its code; its absence is an error.
    func part(_ name: String) throws(EtcdProbeError) -> Part {
        if let part = parts[name] { return part }
        throw error(
            .noAnswer,
            "the answer to “\(name)” is missing; \(Self.excerpt(errorOutput, nothing: "no message"))"
        )
    }

    /// The body of a good answer; anything else is an error that says what came instead.
    func body(_ name: String) throws(EtcdProbeError) -> ArraySlice<UInt8> {
        let part = try part(name)
        switch part.code {
        case .http(200), .exit(0):
            return part.body
        case .http(0):
            throw error(
                .noAnswer,
                "etcd does not answer at \(endpoint): \(Self.excerpt(part.text + errorOutput, nothing: "no connection"))",
                remedy: "check that etcd runs there and that etcd_endpoint and its certificates are right"
            )
        case .http(let code) where code == 401 || code == 403:
            throw error(
                .denied,
                "etcd refuses “\(name)” (HTTP \(code)): \(Self.excerpt(part.text))",
                remedy: "check etcd_cacert, etcd_cert and etcd_key, and whether etcd's authentication is on"
            )
        case .http(let code):
            throw error(.unparsable, "etcd answers “\(name)” with HTTP \(code): \(Self.excerpt(part.text))")
        case .exit(let code):
            throw error(
                code == 127 ? .tool : .noAnswer,
                "“\(name)” failed with exit code \(code): \(Self.lastWords(part.text + errorOutput))"
            )
        }
    }

    /// Decodes a good answer.
    func decode<Value>(
        _ name: String,
        _ read: (ArraySlice<UInt8>) -> Value?
    ) throws(EtcdProbeError) -> Value {
        let body = try body(name)
        if let value = read(body) { return value }
        throw error(
            .unparsable,
            "the answer to “\(name)” is not understood: \(Self.excerpt(String(decoding: body, as: UTF8.self)))"
        )
    }

    func error(_ code: EtcdProbeError.Code, _ message: String, remedy: String? = nil) -> EtcdProbeError {
        EtcdProbeError(code, host: host, message, remedy: remedy)
    }

    /// The last line of what a program said: etcdctl writes its log first and its error at the end.
    static func lastWords(_ text: String) -> String {
        excerpt(text.split(whereSeparator: \.isNewline).last.map(String.init) ?? "", nothing: "no message")
    }

    /// The first 200 bytes on one line, with the values of keys taken out.
    static func excerpt(_ text: String, nothing: String = "nothing") -> String {
        let start = String(decoding: text.utf8.prefix(200), as: UTF8.self)
        var output = ""
        var rest = Substring(start)
        while let found = rest.firstRange(of: "\"value\":") {
            output += rest[..<found.upperBound] + "…"
            rest = rest[found.upperBound...].drop { $0 == " " || $0 == "\"" }
            var isEscaped = false
            rest = rest.drop { character in
                defer { isEscaped = !isEscaped && character == "\\" }
                return isEscaped || character != "\""
            }
        }
        output += rest
        let line = output.split(whereSeparator: \.isNewline).joined(separator: " ")
        return line.isEmpty ? nothing : line
    }
}

// SPDX-License-Identifier: Apache-2.0

/// One request to the v2 API.
struct SeedRequest: Sendable, Hashable {
    var method = "PUT"
    /// The key with its leading slash, not yet encoded.
    var key: String
    var value: String?
    var isDirectory = false
    var ttlSeconds: Int?

    static func bench(_ index: Int, size: Int) -> SeedRequest {
        SeedRequest(key: "/bench/\(index / 100)/key\(index)", value: letters(size, seed: UInt64(index)))
    }

    static func ttl(_ index: Int, seconds: Int) -> SeedRequest {
        SeedRequest(key: "/ttl/key\(index)", value: "expires \(index)", ttlSeconds: seconds)
    }

    static func hidden(_ index: Int) -> SeedRequest {
        SeedRequest(key: "/_hidden/key\(index)", value: "hidden \(index)")
    }

    /// Each kind of key that some migration got wrong, or whose text some tool on the way reads as its own.
    static let kinds: [SeedRequest] = {
        var requests = [
            SeedRequest(key: "/foo", value: "bar"),
            SeedRequest(key: "/changed", value: "first"),
            SeedRequest(key: "/changed", value: "second"),
            SeedRequest(key: "/deleted", value: "gone"),
            SeedRequest(method: "DELETE", key: "/deleted"),
            SeedRequest(key: "/deep" + (1...20).map { "/level\($0)" }.joined(), value: "deep"),
            SeedRequest(key: "/empty/value", value: ""),
            SeedRequest(key: "/empty/directory", isDirectory: true),
            SeedRequest(key: "/utf8/schlüssel", value: "größe"),
            SeedRequest(key: "/utf8/ключ", value: "значение"),
            SeedRequest(key: "/utf8/鍵", value: "値 🔑 e\u{301}"),
            SeedRequest(key: "/text/a b", value: " leading and trailing "),
            SeedRequest(key: "/text/plus+percent%41", value: "a+b=c&d=%41"),
            SeedRequest(key: "/text/lines", value: "one\ntwo\r\n\tthree\n"),
            SeedRequest(key: "/text/quotes", value: #"'single' "double" `back` \slash $HOME {{ brace }}"#),
            SeedRequest(key: "/text/json", value: #"{"key":"/foo","modifiedIndex":1,"dir":true}"#),
            SeedRequest(key: "/text/html", value: "<a href='x'>&amp;</a>"),
            SeedRequest(key: "/text/control", value: "bell\u{7}escape\u{1b}[31m"),
            SeedRequest(key: "/text/number", value: "0123"),
            SeedRequest(key: "/large/100kB", value: letters(100_000, seed: 1)),
        ]
        requests += (1...3).map { SeedRequest(method: "POST", key: "/queue", value: "job \($0)") }
        return requests
    }()

    /// How many keys with a value are there after the kinds were written.
    static let valuesOfKinds: Int = {
        let put = Set(kinds.filter { $0.method == "PUT" && !$0.isDirectory }.map(\.key))
        let deleted = Set(kinds.filter { $0.method == "DELETE" }.map(\.key))
        return put.subtracting(deleted).count + kinds.filter { $0.method == "POST" }.count
    }()

    /// The fields of the form, encoded.
    var body: String {
        var fields: [String] = []
        if let value { fields.append("value=\(Self.encode(value, keeping: ""))") }
        if isDirectory { fields.append("dir=true") }
        if let ttlSeconds { fields.append("ttl=\(ttlSeconds)") }
        return fields.joined(separator: "&")
    }

    var path: String { Self.encode(key, keeping: "/") }

    /// Percent-encodes all but letters, digits and `-._~` (RFC 3986, 2.3).
    private static func encode(_ text: String, keeping kept: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~\(kept)".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if plain.contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Letters that look random and are the same each time, so that two seeds of a kind can be compared.
    private static func letters(_ count: Int, seed: UInt64) -> String {
        let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_".utf8)
        // SplitMix64 (Steele, Lea, Flood, 2014).
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        var bits: UInt64 = 0
        return String(
            unsafeUninitializedCapacity: count,
            initializingUTF8With: { buffer in
                for index in 0..<count {
                    if index % 10 == 0 {
                        state &+= 0x9E37_79B9_7F4A_7C15
                        bits = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
                        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
                        bits ^= bits >> 31
                    }
                    buffer[index] = alphabet[Int(bits & 63)]
                    bits >>= 6
                }
                return count
            }
        )
    }
}

// SPDX-License-Identifier: Apache-2.0

/// `etcdctl alarm list`: one line per alarm, as `memberID:1234 alarm:NOSPACE`, or the same as JSON.
package struct AlarmList: Sendable, Hashable {
    package struct Alarm: Sendable, Hashable, CustomStringConvertible {
        package var member: EtcdID
        /// `NOSPACE`, `CORRUPT`, or a number that we have no word for.
        package var kind: String
        package var description: String { "\(kind) on \(member)" }
    }

    package var alarms: [Alarm]

    package init?(text: String) {
        alarms = []
        for line in text.split(whereSeparator: \.isNewline) where !line.allSatisfy(\.isWhitespace) {
            let words = line.split(separator: " ")
            guard words.count == 2, words[0].hasPrefix("memberID:"), words[1].hasPrefix("alarm:"),
                let member = UInt64(words[0].dropFirst("memberID:".count))
            else { return nil }
            alarms.append(Alarm(member: EtcdID(member), kind: String(words[1].dropFirst("alarm:".count))))
        }
    }

    package init?(json: ArraySlice<UInt8>) {
        struct Raw: Decodable {
            struct Alarm: Decodable {
                var memberID: LenientInteger
                var alarm: LenientKind?
            }
            var alarms: [Alarm]?
        }
        guard let raw = decodeJSON(Raw.self, json) else { return nil }
        alarms = (raw.alarms ?? []).map {
            Alarm(member: EtcdID($0.memberID.unsigned), kind: $0.alarm?.word ?? "NONE")
        }
    }
}

/// The kind of an alarm: a name from the gateway, a number from etcdctl (`AlarmType` of rpc.proto).
private struct LenientKind: Decodable {
    var word: String

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int.self) {
            word =
                ["NONE", "NOSPACE", "CORRUPT"].indices.contains(number)
                ? ["NONE", "NOSPACE", "CORRUPT"][number] : String(number)
        } else {
            word = try container.decode(String.self)
        }
    }
}

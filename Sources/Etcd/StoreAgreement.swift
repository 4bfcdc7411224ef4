// SPDX-License-Identifier: Apache-2.0

import Remote

/// What a member's node found when it compared the member's two stores by itself, so that no store crosses the network.
package struct StoreAgreement: Sendable, Hashable {
    /// Keys that were compared in each.
    package var v2Keys: Int
    package var v3Keys: Int
    /// Why it is not shown that both hold the same; `nil` when it is.
    ///
    /// It says no more than that: what differs, and whether it really does, is found by reading both stores.
    package var doubt: String?

    init?(_ body: ArraySlice<UInt8>) {
        var values: [Substring: Substring] = [:]
        for line in String(decoding: body, as: UTF8.self).split(whereSeparator: \.isNewline) {
            let name = line.prefix { $0 != " " }
            values[name] = line[name.endIndex...].drop { $0 == " " }
        }
        guard let v2 = values["v2"].flatMap({ Int($0) }), let v3 = values["v3"].flatMap({ Int($0) }),
            let total = values["total"].flatMap({ Int($0) }), let left = values["left"].flatMap({ Int($0) })
        else { return nil }
        (v2Keys, v3Keys) = (v2, v3)
        let (plain, decoded) = (values["plain"]?.prefix(64) ?? "", values["decoded"]?.prefix(64) ?? "")
        if let odd = values["odd"] {
            doubt = String(odd)
        } else if v2 != v3 || v3 != total || left != 0 {
            doubt = "\(v2) keys in v2, \(v3) in v3, \(left) without a counterpart"
        } else if plain.utf8.count != 64 || plain != decoded {
            doubt = "the values differ"
        } else {
            doubt = nil
        }
    }

    /// Reads both stores of the member on its node, puts each key of v3 beside the one of v2 with the same modified index,
    /// and compares created index, lengths, and SHA-256 of all names and values in v3's order.
    ///
    /// A modified index is one key's in v2, as a revision is in a migrated v3. Values are JSON strings in v2 and base64 in
    /// v3, so both are brought to bytes on the way into their hash: awk takes the escapes of Go's encoder out of the one,
    /// and `base64 -d` reads the other, whose padding within the stream coreutils and busybox accept. An escape that is not
    /// known here, as that of a zero byte, is a doubt and no difference. As the lengths of each pair are equal, equal
    /// streams mean equal pairs.
    static func script(_ settings: EtcdSettings, at revision: Int64?, withoutTTL: Bool) -> String {
        let curl = ShellQuoting.line(
            ["curl", "-q", "-f"] + settings.curlWords(seconds: 120)
                + [
                    "--speed-limit", "1", "--speed-time", "10",
                    settings.baseURL + "/v2/keys/?recursive=true&sorted=true",
                ]
        )
        return """
            { \(curl) || printf '\\n{"key":pawl failed'
            printf '\\n{"key":pawl v3'
            \(settings.dump(at: revision)) || printf '\\n{"key":pawl failed'
            } | awk -v short=\(withoutTTL ? 1 : 0) \(ShellQuoting.quote(program))
            """
    }

    private static let program = #"""
        BEGIN {
            RS = "[{]\"key\":"
            plain = "echo plain $(sha256sum)"
            decoded = "echo decoded $(base64 -d | sha256sum)"
            printf "" | plain; printf "" | decoded
            for (i = 1; i < 32; i++) control[sprintf("\\u%04x", i)] = sprintf("%c", i)
        }
        /^pawl failed/ { odd = "a store could not be read"; exit }
        /^pawl v3/ { isV3 = 1; if (!index($0, "{\"header\":")) odd = "no answer from v3"; next }
        NR == 1 { if (index($0, "\"key\":")) { odd = "this awk cannot split records at a pattern"; exit } next }
        !isV3 && index($0, "\"value\":") {
            if (!match($0, /"modifiedIndex":[0-9]+,"createdIndex":[0-9]+/)) { odd = "a key without its indexes"; exit }
            split(substr($0, RSTART + 16, RLENGTH - 16), index2, ",\"createdIndex\":")
            node = substr($0, 1, RSTART - 2)
            if (index(node, ",\"expiration\":")) {
                if (short) next
                sub(/","expiration":"[^"]*"(,"ttl":-?[0-9]+)?$/, "\"", node)
            }
            if (index2[1] in v2) { odd = "two keys of one index"; exit }
            v2[index2[1]] = index2[2] " " node
            keys2++
            next
        }
        isV3 {
            keys3++
            if (!match($0, /"create_revision":[0-9]+,"mod_revision":[0-9]+/)) { odd = "a key without revisions"; exit }
            split(substr($0, RSTART + 18, RLENGTH - 18), revision, ",\"mod_revision\":")
            name = substr($0, 2, RSTART - 4)
            value = ""
            if ((at = index($0, ",\"value\":\"")) > 0) {
                value = substr($0, at + 10)
                value = substr(value, 1, index(value, "\"") - 1)
            }
            if (match($0, /"count":[0-9]+/)) total = substr($0, RSTART + 8, RLENGTH - 8)
            if (!(revision[2] in v2)) { odd = "v3 holds what v2 does not"; exit }
            node = v2[revision[2]]
            delete v2[revision[2]]
            keys2Seen++
            if (!match(node, /^[0-9]+ "([^"\\]|\\.)*"/)) { odd = "a key without a name"; exit }
            space = index(node, " ")
            if (substr(node, 1, space - 1) != revision[1]) { odd = "created at another index"; exit }
            name2 = bytes(substr(node, space + 2, RLENGTH - space - 2))
            value2 = substr(node, RLENGTH + 11)
            value2 = bytes(substr(value2, 1, length(value2) - 1))
            if (odd != "") exit
            if (size(name) != length(name2) || size(value) != length(value2)) { odd = "lengths differ"; exit }
            print name value | decoded
            printf "%s%s", name2, value2 | plain
        }
        function size(text) { return length(text) / 4 * 3 - (text ~ /==$/ ? 2 : text ~ /=$/ ? 1 : 0) }
        function bytes(text,    part, parts, i, out) {
            if (!index(text, "\\")) return text
            parts = split(text, part, /\\\\/)
            for (i = 1; i <= parts; i++) out = out (i > 1 ? "\\" : "") unescaped(part[i])
            return out
        }
        function unescaped(text,    escape) {
            if (!index(text, "\\")) return text
            gsub(/\\"/, "\"", text); gsub(/\\\//, "/", text)
            gsub(/\\n/, "\n", text); gsub(/\\r/, "\r", text); gsub(/\\t/, "\t", text)
            gsub(/\\b/, "\b", text); gsub(/\\f/, "\f", text)
            gsub(/\\u003c/, "<", text); gsub(/\\u003e/, ">", text); gsub(/\\u0026/, "\\&", text)
            gsub(/\\u2028/, "\342\200\250", text); gsub(/\\u2029/, "\342\200\251", text)
            gsub(/\\ufffd/, "\357\277\275", text)
            while (match(text, /\\u00[01][0-9a-f]/)) {
                escape = substr(text, RSTART, 6)
                if (!(escape in control)) break
                text = substr(text, 1, RSTART - 1) control[escape] substr(text, RSTART + 6)
            }
            if (index(text, "\\")) odd = "an escape that is not known here"
            return text
        }
        END {
            close(plain); close(decoded)
            printf "v2 %d\nv3 %d\ntotal %d\nleft %d\n", keys2, keys3, total, keys2 - keys2Seen
            if (odd != "") print "odd " odd
        }
        """#
}

extension ClusterProbe {
    /// Has a member's node compare its two stores; v3 as it was at a revision where one is given.
    package static func agreement(
        _ node: EtcdNode,
        at revision: Int64?,
        withoutTTL: Bool
    ) async throws(EtcdProbeError) -> StoreAgreement {
        var script = ProbeScript(node.settings)
        script.ask("agreement", StoreAgreement.script(node.settings, at: revision, withoutTTL: withoutTTL))
        let answer = try await script.run(on: node, label: "compare v2 and v3", timeout: .seconds(300))
        return try answer.decode("agreement") { StoreAgreement($0) }
    }
}

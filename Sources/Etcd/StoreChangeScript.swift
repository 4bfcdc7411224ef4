// SPDX-License-Identifier: Apache-2.0

import Remote

extension EtcdSettings {
    /// Walks through the v2 store's own memory of its last 1,000 writes, one more than the limit, so that one knows of more.
    ///
    /// A watch from an index that has passed answers at once with the first write from there on; where there is none it
    /// waits, which is cut short. Why patterns are right for etcd's JSON is said at ``Fingerprint``.
    func changesScript(from index: UInt64, limit: Int) -> String {
        let curl = ShellQuoting.line(
            ["curl", "-q", "-g"] + curlWords(seconds: 2) + [baseURL + "/v2/keys/?recursive=true&wait=true&waitIndex="]
        )
        return """
            change_index=\(index) change_count=0
            while [ "$change_count" -le \(limit) ]; do
            change=$(\(curl)"$change_index" 2>/dev/null | awk \(ShellQuoting.quote(Self.v2Program)))
            case $change in
            cleared*) echo cleared; break;;
            event*) printf '%s\\n' "$change";;
            *) break;;
            esac
            change_index=$(printf '%s\\n' "$change" | sed -n 's/^event [^ ]* \\([0-9]*\\) .*/\\1/p')
            [ -n "$change_index" ] || break
            change_index=$((change_index + 1)) change_count=$((change_count + 1))
            done
            true
            """
    }

    /// Watches v3 from a revision that has passed, for as long as it takes to be told what there is.
    func v3ChangesScript(from revision: Int64) -> String {
        let words =
            [etcdctl, "--endpoints", endpoint, "--dial-timeout", "3s"]
            + [("--cacert", caCertificate), ("--cert", certificate), ("--key", key)].flatMap { name, value in
                value.map { [name, $0] } ?? []
            } + ["watch", "", "--prefix", "--prev-kv", "--rev", String(revision), "-w", "json"]
        return """
            { \(login?.environment ?? "")timeout 3 \(ShellQuoting.line(words)) 2>/dev/null </dev/null; } \
            | head -c 1048576 \
            | awk \(ShellQuoting.quote(Self.v3Program))
            true
            """
    }

    /// Decodes a JSON string to its bytes and hashes it, behind a word.
    private static let digest = #"""
        function utf8(n) {
            if (n < 128) return sprintf("%c", n)
            if (n < 2048) return sprintf("%c%c", 192 + int(n / 64), 128 + n % 64)
            return sprintf("%c%c%c", 224 + int(n / 4096), 128 + int(n / 64) % 64, 128 + n % 64)
        }
        function hex(s,  i, n) {
            s = tolower(s)
            for (i = 1; i <= length(s); i++) n = n * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
            return n
        }
        function hash(word, s,  at, c, pipe) {
            pipe = "printf '" word " '; sha256sum"
            fflush()
            while ((at = index(s, "\\")) > 0) {
                printf "%s", substr(s, 1, at - 1) | pipe
                c = substr(s, at + 1, 1); s = substr(s, at + 2)
                if (c == "u") { printf "%s", utf8(hex(substr(s, 1, 4))) | pipe; s = substr(s, 5) }
                else if (c == "n") printf "\n" | pipe
                else if (c == "t") printf "\t" | pipe
                else if (c == "r") printf "\r" | pipe
                else if (c == "b") printf "\b" | pipe
                else if (c == "f") printf "\f" | pipe
                else printf "%s", c | pipe
            }
            printf "%s", s | pipe
            close(pipe)
        }

        """#

    private static let v2Program =
        digest + #"""
            function member(s, name) {
                if (!match(s, "\"" name "\":\"([^\"\\\\]|\\\\.)*\"")) return ""
                found = 1
                return substr(s, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
            }
            function number(s, name) {
                if (!match(s, "\"" name "\":[0-9]+")) return 0
                return substr(s, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
            }
            /^\{"errorCode":401/ { print "cleared"; exit }
            /^\{"action":/ {
                at = index($0, ",\"prevNode\":{")
                node = at ? substr($0, 1, at) : $0
                before = at ? substr($0, at) : ""
                printf "event %s %s %s %s\n", member(node, "action"), number(node, "modifiedIndex"), \
                    number(before, "modifiedIndex"), node ~ /"dir":true/ ? "dir" : "key"
                printf "key \"%s\"\n", member(node, "key")
                found = 0; value = member(node, "value"); if (found) hash("new", value)
                found = 0; value = member(before, "value"); if (found) hash("old", value)
                exit
            }
            """#

    /// `"type":1` is a removal; what is empty is left out of the JSON.
    private static let v3Program = #"""
        function member(s, name) {
            if (!match(s, "\"" name "\":\"[A-Za-z0-9+/=]*\"")) return ""
            return substr(s, RSTART + length(name) + 4, RLENGTH - length(name) - 5)
        }
        function number(s, name) {
            if (!match(s, "\"" name "\":[0-9]+")) return 0
            return substr(s, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
        }
        function hash(word, base64,  pipe) {
            pipe = "printf '" word " '; base64 -d | sha256sum"
            fflush()
            printf "%s", base64 | pipe
            close(pipe)
        }
        BEGIN { RS = "\"kv\":[{]" }
        NR > 1 {
            at = index($0, "\"prev_kv\":{")
            kv = at ? substr($0, 1, at) : $0
            before = at ? substr($0, at) : ""
            printf "event %s %s %s key\n", removes ? "delete" : "put", number(kv, "mod_revision"), number(before, "mod_revision")
            printf "key64 %s\n", member(kv, "key")
            if (!removes) hash("new", member(kv, "value"))
            if (at) hash("old", member(before, "value"))
        }
        { removes = /"type":1,$/ }
        """#
}

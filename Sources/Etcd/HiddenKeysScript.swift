// SPDX-License-Identifier: Apache-2.0

import Remote

/// Finds the hidden keys of a member: those below a name that begins with `_`, which no listing shows and no migration
/// takes along.
///
/// The v2 API gives a hidden key to whoever asks for its exact path. So paths are taken from the bytes of the member's
/// newest snapshot and of its WAL, where every path stands that was ever written since, and the member itself is then
/// asked for each: the candidates come from files, the truth from the member. It answers from its own store, without
/// the quorum. A path is percent-encoded whole, so that nothing in it is read by the shell or by curl.
///
/// To take a file apart costs several times what it costs to read it, so that is done only where the bytes stand in it that
/// every such path has, in either form of it. For that it is cut at zeros and quotation marks, because grep is slow, and large,
/// with the one line that a snapshot is.
enum HiddenKeysScript {
    /// How many paths are asked for; a millisecond each.
    static let limit = 2_000

    /// Counts what the member has, and names the first of it.
    ///
    /// Needs `data_dir`, `wal_dir` and `newest`, the newest snapshot or nothing.
    static func script(_ settings: EtcdSettings) -> String {
        "\(asking(settings, limit: limit)) 2>&1 | awk \(ShellQuoting.quote(answerProgram))"
    }

    /// Tells all that the member has, with its values: each answer on a line, and behind it its HTTP status.
    static func listing(_ settings: EtcdSettings) -> String {
        NodeFacts.directories(settings) + "\n" + newestSnapshot + "\n" + asking(settings, limit: Int(Int32.max))
            + " 2>&1 || true"
    }

    /// Sets `newest` and `snapshots`; needs `data_dir`.
    static let newestSnapshot = """
        snapshots=0 newest=
        for file in "$data_dir"/member/snap/*.snap; do
        if [ -f "$file" ]; then snapshots=$((snapshots + 1)) newest=$file; fi
        done
        """

    /// Finds the paths, and asks for up to so many of them.
    private static func asking(_ settings: EtcdSettings, limit: Int) -> String {
        let curl = ShellQuoting.line(
            ["curl", "-q"] + settings.curlWords(seconds: 10)
                + ["--speed-limit", "1", "--speed-time", "10", "-w", #"\nasked %{http_code}\n"#, "-K", "-"]
        )
        let quote = ShellQuoting.quote
        return """
            mentions_hidden() { tr '\\000"' '\\012\\012' <"$1" | grep -qF -e /_ -e /2/users/ -e /2/roles/; }
            wal_files=0
            for file in "$wal_dir"/*.wal; do
            if [ -r "$file" ]; then wal_files=$((wal_files + 1)); fi
            done
            echo "wal_files $wal_files"
            candidates=$(
            {
            if [ -n "$newest" ] && mentions_hidden "$newest"; then
            grep -aoE '"Path":"/[12]/([^"\\\\]|\\\\.)*"' "$newest" | awk \(quote(encoding + snapshotProgram))
            fi
            for file in "$wal_dir"/*.wal; do
            mentions_hidden "$file" || continue
            tr -d '\\000' <"$file" | tr '\\012' '\\002' | awk \(quote(encoding + walProgram))
            done
            } 2>/dev/null | awk '!seen[$0]++'
            )
            printf '%s\\n' "$candidates" | awk \(quote(listProgram))
            printf '%s\\n' "$candidates" | awk -v base=\(quote(settings.baseURL)) -v limit=\(limit) \(quote(askProgram)) |
            \(curl)
            """
    }

    /// `emit` prints each hidden prefix of a path, and names of v2 users and roles.
    private static let encoding = #"""
        BEGIN {
            for (i = 1; i < 256; i++) {
                byte = sprintf("%c", i)
                code[byte] = i
                plain = byte ~ /[A-Za-z0-9_.~-]/
                encoded[byte] = plain || byte == "/" ? byte : sprintf("%%%02X", i)
            }
        }
        function emit(path,    i, text, segments, segment, prefix, at) {
            if (path ~ /^\/2\/(users|roles)\/./) { print "auth " encode(substr(path, 4)); return }
            if (path !~ /^\/1\/(.*\/)?_/) return
            segments = split(substr(path, 4), segment, "/")
            prefix = ""
            for (i = 1; i <= segments; i++) {
                prefix = prefix "/" segment[i]
                if (segment[i] ~ /^_/) print "key " encode(prefix)
            }
        }
        function encode(text,    i, out) {
            for (i = 1; i <= length(text); i++) out = out encoded[substr(text, i, 1)]
            return out
        }

        """#

    /// A path in the snapshot's JSON, with the escapes that Go's encoder writes.
    private static let snapshotProgram = #"""
        {
            text = substr($0, 9, length($0) - 9)
            path = ""
            while ((at = index(text, "\\")) > 0) {
                path = path substr(text, 1, at - 1)
                c = substr(text, at + 1, 1)
                rest = at + 2
                if (c == "u") {
                    hex = substr(text, at + 2, 4)
                    rest = at + 6
                    if (hex == "2028") c = "\342\200\250"
                    else if (hex == "2029") c = "\342\200\251"
                    else if (hex == "fffd") c = "\357\277\275"
                    else c = sprintf("%c", digit(substr(hex, 3, 1)) * 16 + digit(substr(hex, 4, 1)))
                }
                else if (c == "n") c = "\n"
                else if (c == "r") c = "\r"
                else if (c == "t") c = "\t"
                path = path c
                text = substr(text, rest)
            }
            emit(path text)
        }
        function digit(c) { return index("123456789abcdef", c) }
        """#

    /// A path in the WAL: the third field of a request (etcdserverpb.Request), so the byte 032, a length as a varint, and
    /// the path, with the fourth field's byte behind it, which is a quotation mark.
    ///
    /// Zeros, of which the unused end of the file consists, are taken out, and line breaks stand as 002, which no path
    /// has as its length: it is 4 at least. Two bytes hold a length up to 16,383.
    private static let walProgram = #"""
        BEGIN { RS = "\032" }
        NR == 1 { next }
        hold != "" { $0 = hold "\032" $0; hold = "" }
        $0 == "" { length26 = 1; next }
        length26 { length26 = 0; if ($0 ~ /^\/[12]\//) $0 = "\032" $0 }
        {
            n = code[substr($0, 1, 1)]
            skip = 2
            if (n == 2) n = 10
            if (n >= 128) {
                high = code[substr($0, 2, 1)]
                n += 128 * (high - 1)
                skip = 3
            }
            if (substr($0, skip, 3) !~ /^\/[12]\/$/) next
            if (length($0) < skip + n && tries++ < 4) { hold = $0; next }
            tries = 0
            if (skip == 3 && high == 2 && substr($0, skip + n, 1) != "\"") n += 128 * 8
            path = substr($0, skip, n)
            written = path
            if (gsub(/\002/, "\n", path)) emit(written)
            emit(path)
        }
        """#

    private static let listProgram = #"""
        /^key / { keys++ }
        /^auth / && auths++ < 20 { print "auth_name " $2 }
        END { printf "hidden_candidates %d\n", keys }
        """#

    /// One curl process for all: the same connection, and one answer after the other.
    private static let askProgram = #"""
        /^key / && asked++ < limit { print "url = \"" base "/v2/keys" $2 "?recursive=true&sorted=true\"" }
        """#

    /// Counts what the member really has; a hidden directory's keys are told with it, those of hidden directories in it
    /// are asked for by themselves.
    private static let answerProgram = #"""
        BEGIN { RS = "[{]\"key\":" }
        function name() { match($0, /^"([^"\\]|\\.)*"/); return substr($0, RSTART, RLENGTH) }
        {
            if (NR > 1) {
                if (index($0, "\"value\":") && keys++ < 10) print "hidden " name()
                if (index($0, ",\"expiration\":") && expiring++ < 10) print "hidden_expiring_name " name()
                text = $0
                gsub(/\\\\/, "", text)
                if (index(text, "\\ufffd") && altered++ < 10) print "hidden_altered_name " name()
            }
            lines = split($0, line, "\n")
            for (i = 1; i <= lines; i++) {
                if (line[i] !~ /^asked [0-9]+$/) { if (line[i] ~ /^curl: /) said = line[i]; continue }
                asked++
                status = substr(line[i], 7)
                if (status != 200 && status != 404) { refused++; said = "HTTP " status }
            }
        }
        END {
            printf "hidden_keys %d\nhidden_asked %d\nhidden_refused %d\n", keys, asked, refused
            printf "hidden_expiring %d\nhidden_altered %d\n", expiring, altered
            if (said != "") print "hidden_said " said
        }
        """#
}

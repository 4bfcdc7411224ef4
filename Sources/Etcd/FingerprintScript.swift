// SPDX-License-Identifier: Apache-2.0

import Remote

extension Fingerprint {
    /// Reads the member's own v2 keys once and hashes them on the node; only digests, counts and a few names leave it,
    /// and nothing is written to a file.
    ///
    /// Without `quorum=true` the answer is the member's own store, not the leader's.
    ///
    /// Why cutting JSON with patterns is right here: etcd writes it with Go's encoder, which escapes each quote and
    /// each line break within a string. So a quote without a backslash before it is structure, `{"key":` begins a node and
    /// `"value":`, `"expiration":` and `"modifiedIndex":` are members of one, whatever keys and values hold; and a line
    /// break is none of the JSON's, so that the line with curl's exit code cannot be forged. A node's members come in
    /// the fixed order of `NodeExtern`: key, value, dir, expiration, ttl, nodes, modifiedIndex, createdIndex. A
    /// directory's children stand in records of their own, so that its TTL is in its own record, and a last child's
    /// record ends with the indexes of its parents, of which the first pair is its own.
    ///
    /// The expiration is left out of what is hashed, because the remaining seconds count down.
    ///
    /// The encoder writes a byte that is not UTF-8 as the six characters `\\ufffd`, and a U+FFFD that really is there as
    /// its bytes, so that such bytes are told from text. etcd's own `.snap` does not keep the difference: a member that
    /// was restarted from one has the U+FFFD. So it is hashed as that, which also is what a migration makes of it.
    static func script(_ settings: EtcdSettings) -> String {
        let curl = ShellQuoting.line(
            ["curl", "-q", "-i"] + settings.curlWords(seconds: 120)
                + [
                    // A member that hangs in the middle is noticed by its silence, a big store may take its time.
                    "--speed-limit", "1", "--speed-time", "10",
                    settings.baseURL + "/v2/keys/?recursive=true&sorted=true",
                ]
        )
        return "{ \(curl) 2>&1; printf '\\ncurl %s\\n' \"$?\"; } | awk \(ShellQuoting.quote(program))"
    }

    /// Works with mawk, gawk and busybox; an awk that takes only one byte of `RS` says so.
    private static let program = #"""
        BEGIN {
            RS = "[{]\"key\":"
            permanent = "echo permanent $(sha256sum)"
            temporary = "echo temporary $(sha256sum)"
            inherited = "echo inherited $(sha256sum)"
            printf "" | permanent
        }
        { last = $0; bytes += length($0) }
        NR == 1 {
            start = $0
            if (index($0, "\"key\":")) { odd = "this awk cannot split records at a pattern"; exit }
            next
        }
        index($0, "\"value\":") {
            if (!match($0, /"modifiedIndex":[0-9]+,"createdIndex":[0-9]+/)) { odd = "a key without its indexes"; exit }
            node = substr($0, 1, RSTART + RLENGTH - 1)
            modified = substr($0, RSTART + 16, RLENGTH) + 0
            if (modified > newest) newest = modified
            if (index(node, "\\ufffd") && (whole = migrated(node)) != node) {
                node = whole
                if (altered++ < 10) named[++names] = "altered_name " name()
            }
            if (match(node, /"expiration":"[^"]*",("ttl":-?[0-9]+,)?/)) {
                print substr(node, 1, RSTART - 1) substr(node, RSTART + RLENGTH) | temporary
                left = ttl(substr(node, RSTART, RLENGTH))
                if (temporaries++ < 10) named[++names] = "temporary_name " left " " name()
                next
            }
            if (modified > newestPermanent) newestPermanent = modified
            if (isBelow()) {
                print node | inherited
                inheriteds++
            } else {
                print node | permanent
                permanents++
            }
            next
        }
        index($0, "\"dir\":true") {
            directories++
            if (match($0, /"dir":true,"expiration":"[^"]*",("ttl":-?[0-9]+,)?/)) {
                left = ttl(substr($0, RSTART, RLENGTH))
                if (ttlDirectories++ < 10) named[++names] = "ttl_directory_name " left " " name()
                if (!isBelow()) { below = name(); below = substr(below, 1, length(below) - 1) "/" }
            }
            if (!index($0, "\"nodes\":[") && emptyDirectories++ < 10)
                named[++names] = "empty_directory_name " name()
            next
        }
        { odd = "a node that is neither key nor directory"; exit }
        # Whether a directory that expires is above it: directories come before what is in them.
        function isBelow() { return below != "" && substr($0, 1, length(below)) == below }
        function name() {
            match($0, /^"([^"\\]|\\.)*"/)
            return substr($0, RSTART, RLENGTH)
        }
        function ttl(text) {
            return match(text, /"ttl":-?[0-9]+/) ? substr(text, RSTART + 6, RLENGTH - 6) : 0
        }
        function migrated(text,    parts, part, i, out) {
            parts = split(text, part, /\\\\/)
            for (i = 1; i <= parts; i++) {
                gsub(/\\ufffd/, "\357\277\275", part[i])
                out = out (i > 1 ? "\\\\" : "") part[i]
            }
            return out
        }
        END {
            close(permanent)
            if (temporaries) close(temporary)
            if (inheriteds) close(inherited)
            if (odd != "") print "odd " odd
            lines = split(start, line, "\n")
            for (i = 1; i <= lines; i++) {
                sub(/\r$/, "", line[i])
                if (line[i] ~ /^HTTP\//) refused = line[i] !~ / 200/
                if (line[i] ~ /^(HTTP\/|X-|curl:|curl )/) print "head " line[i]
                else if (refused && line[i] != "" && line[i] !~ /^[A-Za-z-]+: /) print "said " substr(line[i], 1, 200)
            }
            if (NR > 1) { lines = split(last, line, "\n"); print "head " line[lines - 1] }
            printf "permanents %d\ntemporaries %d\ninheriteds %d\n", permanents, temporaries, inheriteds
            printf "bytes %.0f\naltered %d\n", bytes, altered
            printf "newest %.0f\nnewest_permanent %.0f\n", newest, newestPermanent
            printf "directories %d\nttl_directories %d\n", directories, ttlDirectories
            printf "empty_directories %d\n", emptyDirectories
            for (i = 1; i <= names; i++) print named[i]
        }
        """#
}

// SPDX-License-Identifier: Apache-2.0

/// The node's part of moving a file: plain POSIX shell and `sha256sum`, so that nothing has to be installed, and one
/// command a file.
///
/// The exit codes are those of sysexits.h where one fits.
package enum FileTransferScript {
    /// The bytes did not arrive as they left.
    package static let mismatchExitCode = 65
    /// There is no such file, or it is no file.
    package static let missingExitCode = 66
    /// What is left of an earlier transfer is of another file.
    package static let otherPartExitCode = 67
    /// The input ended too early; what arrived stays for the next try.
    package static let cutShortExitCode = 75

    /// The first bytes of a file, as they are known to be on the other side.
    package struct Part: Sendable, Equatable {
        package var size: Int
        /// SHA-256 of these bytes.
        package var digest: String

        package init(size: Int, digest: String) {
            self.size = size
            self.digest = digest
        }

        /// Reads what ``FileTransferScript/part(of:)`` printed; nil where there is no part.
        package init?(printed text: String) {
            let words = text.split(whereSeparator: \.isWhitespace)
            guard words.count == 2, let size = Int(words[0]), size > 0 else { return nil }
            self.init(size: size, digest: String(words[1]))
        }
    }

    /// `digest FILE` prints its SHA-256 as the first word: by openssl where it is, which takes a third of the time.
    ///
    /// What an openssl printed that ended with an error is left out.
    private static let digest = #"""
        digest() ( if o=$(openssl dgst -sha256 -r <"$1" 2>/dev/null); then echo "$o"; else sha256sum <"$1"; fi )
        """#

    /// Prints the size and the digest of what is left of an upload that was cut off; changes nothing.
    ///
    /// One that belongs to somebody else, or is a link, is none.
    package static func part(of path: String) -> String {
        """
        t=\(ShellQuoting.quote(path)).part
        \(digest)
        [ -f "$t" ] && [ ! -L "$t" ] && [ -O "$t" ] || exit 0
        n=$(wc -c <"$t") && s=$(digest "$t") && printf '%s %s\\n' "$n" "${s%% *}"
        """
    }

    /// Reads the file from standard input, beside its path first, and renames it when its digest is right.
    ///
    /// A new part is made with `noclobber` (`O_EXCL`), so that a link lying in wait under its name is not followed. It is
    /// removed when the upload fails, unless the input ended before its size: then the connection was lost.
    ///
    /// - Parameters:
    ///   - path: where the file is to be.
    ///   - mode: its permissions.
    ///   - whole: the whole file.
    ///   - start: how many bytes of it are there already, in the part.
    /// - Returns: the script.
    package static func upload(to path: String, mode: Int, whole: Part, from start: Int = 0) -> String {
        let open =
            start == 0
            ? """
            if [ -e "$t" ] || [ -L "$t" ]; then rm -f -- "$t" || exit 73; fi
            trap 'rm -f -- "$t"' EXIT
            set -C; { cat >"$t"; } || exit 74; set +C
            """
            : """
            [ -f "$t" ] && [ ! -L "$t" ] && [ -O "$t" ] && [ "$(wc -c <"$t")" -eq \(start) ] || exit \(otherPartExitCode)
            trap 'rm -f -- "$t"' EXIT
            cat >>"$t" || exit 74
            """
        return """
            \(digest)
            p=\(ShellQuoting.quote(path))
            [ ! -d "$p" ] || { printf '%s is a directory\\n' "$p" >&2; exit 73; }
            t=$p.part
            case $p in /*/*) d=${p%/*} ;; /*) d=/ ;; *) d=$(dirname -- "$p") ;; esac
            umask 077
            trap 'exit 74' HUP INT TERM
            \(open)
            n=$(wc -c <"$t") || exit 74
            if [ "$n" -lt \(whole.size) ]; then
              trap - EXIT
              printf 'only %s of \(whole.size) bytes arrived\\n' "$n" >&2
              exit \(cutShortExitCode)
            fi
            chmod \(String(mode, radix: 8)) -- "$t" || exit 74
            { sync -- "$t" 2>/dev/null || sync; } &
            s=$(digest "$t") || exit 74
            wait $! || exit 74
            [ "${s%% *}" = \(whole.digest) ] ||
              { printf 'arrived with sha256 %s\\n' "${s%% *}" >&2; exit \(mismatchExitCode); }
            mv -f -- "$t" "$p" || exit 74
            trap - EXIT
            sync -- "$d" 2>/dev/null || sync
            """
    }

    /// Writes the file to standard output and its digest, as the last line, to standard error.
    ///
    /// The digest is taken beside the sending. A file that changes meanwhile is found to differ.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - part: what is known of its beginning, which is left out; nil for the whole file.
    /// - Returns: the script.
    package static func download(_ path: String, after part: Part? = nil) -> String {
        let (check, send) =
            part.map { part in
                (
                    """
                    s=$(head -c \(part.size) -- "$p" | sha256sum) || exit 74
                    [ "${s%% *}" = \(part.digest) ] || exit \(otherPartExitCode)
                    """, #"tail -c +\#(part.size + 1) -- "$p""#
                )
            } ?? ("", #"cat -- "$p""#)
        return """
            \(digest)
            p=\(ShellQuoting.quote(path))
            [ -f "$p" ] || { printf '%s: no such file\\n' "$p" >&2; exit \(missingExitCode); }
            \(check)
            { s=$(digest "$p") && printf '%s\\n' "${s%% *}" >&2; } &
            \(send); sent=$?
            wait $! && [ "$sent" = 0 ] || exit 74
            """
    }
}

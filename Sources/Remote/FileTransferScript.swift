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

    /// Reads the file from standard input, beside its path first, and renames it when its digest is right.
    ///
    /// The part is made anew with `noclobber` (`O_EXCL`), so that a link lying in wait under its name is not followed.
    package static func upload(to path: String, mode: Int, digest: String) -> String {
        """
        p=\(ShellQuoting.quote(path))
        [ ! -d "$p" ] || { printf '%s is a directory\\n' "$p" >&2; exit 73; }
        t=$p.part; d=$(dirname -- "$p")
        umask 077; rm -f -- "$t" || exit 73
        trap 'rm -f -- "$t"' EXIT
        trap 'exit 74' HUP INT TERM
        set -C; { cat >"$t"; } || exit 74; set +C
        chmod \(String(mode, radix: 8)) -- "$t" || exit 74
        sync -- "$t" 2>/dev/null || sync || exit 74
        s=$(sha256sum <"$t") || exit 74
        [ "${s%% *}" = \(digest) ] || { printf 'arrived with sha256 %s\\n' "${s%% *}" >&2; exit \(mismatchExitCode); }
        mv -f -- "$t" "$p" || exit 74
        trap - EXIT
        sync -- "$d" 2>/dev/null || sync
        """
    }

    /// Writes the file to standard output and then its digest, as the last line, to standard error.
    package static func download(_ path: String) -> String {
        """
        p=\(ShellQuoting.quote(path))
        [ -f "$p" ] || { printf '%s: no such file\\n' "$p" >&2; exit \(missingExitCode); }
        cat -- "$p" || exit 74
        s=$(sha256sum <"$p") || exit 74
        printf '%s\\n' "${s%% *}" >&2
        """
    }
}

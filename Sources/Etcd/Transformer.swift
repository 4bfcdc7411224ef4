// SPDX-License-Identifier: Apache-2.0

/// The shell around a transformer of `etcdctl migrate --transformer`, so that no key is lost on its way.
///
/// etcdctl gives it the v2 nodes as JSON on standard input, and reads from its standard output an eight-byte length and a
/// `mvccpb.KeyValue` for each key. It waits for its end while it still reads (etcdctl/ctlv3/command/migrate_command.go,
/// `startTransformer`), and waiting closes the pipe: what is in the pipe when the transformer ends is lost, and
/// etcdctl says that all is well.
///
/// So what runs as the transformer is a wrapper. It keeps the output in a file until the transformer has ended well and the
/// output is proven to be whole records; counts them, and the keys that went in; and writes them. Then it writes the last
/// record again and again, more than a pipe can hold (16 pages, of 64 KiB at most). When that is written, all that matters
/// has been read, and a record that is written twice is the same key of the db.
enum Transformer {
    /// - `as_user WORDS`: runs a program as the owner of the data.
    /// - `wrap_transformer DIR`: makes the wrapper in DIR, which the owner of the data may enter; sets `area` and
    ///   `problem`. Does nothing without `TRANSFORMER`.
    /// - `tell_transformer`: what went in, what came out, and why it failed.
    static var shellFunctions: String { NodeReport.assignments(["WRAPPER": wrapper]) + userFunction + functions }

    /// `as_user` by itself; needs `AS`.
    static let userFunction = #"""
        as_user() { if [ "$(id -u)" = 0 ] && [ "$AS" != root ]; then runuser -u "$AS" -- "$@"; else "$@"; fi; }

        """#

    private static let functions = #"""
        area=
        wrap_transformer() {
          if [ -z "$TRANSFORMER" ]; then return 0; fi
          problem="the transformer $TRANSFORMER is not on this node"
          [ -f "$TRANSFORMER" ] || return 1
          problem="the transformer $TRANSFORMER cannot be run by $AS: see its mode and those of its directories"
          as_user test -x "$TRANSFORMER" || return 1
          area=$1/transformer
          problem="cannot write to $area"
          rm -rf -- "$area"
          mkdir -m 700 -- "$area" && printf '%s\n' "$TRANSFORMER" >"$area/path" && printf '%s' "$WRAPPER" >"$area/run" &&
            chmod 700 -- "$area/run" && chown -R -- "$AS" "$area" || return 1
          problem="no program can be run from $area: is its file system mounted noexec?"
          as_user "$area/run" try </dev/null || return 1
        }
        tell_transformer() {
          if [ -z "$area" ]; then return 0; fi
          for name in input output failed; do
            as_user sed -n "1s/^/transformer_$name=/p" "$area/$name" 2>/dev/null
          done
          as_user head -n 3 "$area/complaints" 2>/dev/null | cut -c 1-300 | sed 's/^/transformer_said=/'
        }

        """#

    /// The names of a directory begin with a quote, as all keys do; a key has a value, a directory has none.
    private static let wrapper = #"""
        #!/bin/sh
        if [ "${1-}" = try ]; then exit 0; fi
        umask 077; LC_ALL=C; export LC_ALL
        cd -- "${0%/*}" && read -r program <path || exit 1
        broken() { printf '%s\n' "$1" >failed; exit 1; }
        mkfifo nodes || broken "a pipe cannot be made"
        awk 'BEGIN { RS = "[{]\"key\":" } NR > 1 && index($0, "\"value\":") { keys++ } END { printf "%d\n", keys }' <nodes >input &
        # What the transformer does not read is read away, so that etcdctl tells of nothing but its end.
        { tee nodes; cat >/dev/null; } 2>/dev/null | {
          (cd / && exec "$program") >records 2>complaints
          code=$?
          # Little of it may all be in the pipe, whoever reads it.
          [ -z "$(tr -d ' \t\r\n' | head -c 1)" ] || : >unread
          cat >/dev/null
          exit "$code"
        }
        code=$?
        wait
        [ "$code" = 0 ] || broken "it ended with exit code $code"
        [ ! -e unread ] || broken "it ended before it had read everything: it must read all of its input"
        size=$(wc -c <records)
        set -- $(od -An -v -tu1 records | awk -v size="$size" '
          BEGIN { at = 0; have = 0; length8 = 0; weight = 1 }
          {
            from = (NR - 1) * 16
            while (at + have < from + 16 && at + have < size) {
              length8 += $(at + have - from + 1) * weight; weight *= 256
              if (++have < 8) continue
              if (at + 8 + length8 > size) { bad = 1; exit }
              last = at; records++
              at += 8 + length8; have = 0; length8 = 0; weight = 1
            }
          }
          END { if (bad || have || at != size) print "bad", at; else printf "%d %.0f\n", records, last }')
        [ "$1" != bad ] || broken "its output is no sequence of lengths and records: see byte $2"
        cat records || broken "etcdctl did not read its output"
        if [ "$1" -gt 0 ]; then
          tail -c "+$(($2 + 1))" records >again
          while [ "$(wc -c <again)" -le 1048576 ]; do cat again again >twice && mv twice again || broken "its disk is full"; done
          cat again || broken "etcdctl did not read its output"
        fi
        printf '%s\n' "$1" >output

        """#
}

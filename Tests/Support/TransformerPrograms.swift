// SPDX-License-Identifier: Apache-2.0

/// Programs for `etcdctl migrate --transformer`, in Perl, which is on every node.
package enum TransformerPrograms {
    /// Gives each key with its value in capitals, all at once, and ends at once: etcdctl by itself loses keys of it.
    package static let capitals = changing("")

    /// The same, with a statement in front of each record: `$key`, `$value`, `$modified` and `$created` may be changed.
    package static func changing(_ statement: String) -> String {
        #"""
        #!/usr/bin/perl
        binmode STDIN; binmode STDOUT; undef $/; my $in = <STDIN>; my $out = "";
        sub number { my $n = shift; my $s = ""; while ($n >= 128) { $s .= chr($n % 128 + 128); $n = int($n / 128) } $s . chr($n) }
        sub bytes { my ($tag, $b) = @_; chr($tag) . number(length $b) . $b }
        while ($in =~ /\{"key":"([^"]*)","value":"([^"]*)"(?:,"expiration":"[^"]*")?(?:,"ttl":-?\d+)?,"modifiedIndex":(\d+),"createdIndex":(\d+)\}/g) {
          my ($key, $value, $modified, $created) = ($1, uc $2, $3, $4);
          STATEMENT
          my $kv = bytes(0x0a, $key) . chr(0x10) . number($created) . chr(0x18) . number($modified) . chr(0x20) . number(1)
            . bytes(0x2a, $value);
          $out .= pack("q<", length $kv) . $kv;
        }
        print $out;

        """#
        .replacing("STATEMENT", with: statement)
    }

    /// Reads all and fails.
    package static let failing = "#!/bin/sh\necho 'no such thing' >&2; cat >/dev/null; exit 3\n"

    /// Reads all and gives what are no records.
    package static let garbage = "#!/bin/sh\ncat >/dev/null; echo garbage garbage garbage\n"
}

// SPDX-License-Identifier: Apache-2.0

/// The rule itself, by nft or by iptables.
extension ClientFirewall {
    /// Shell functions over `$tool`: `choose_tool`, `rules_put`, `rules_print`, `rules_trouble`, `rules_remove`,
    /// `rules_left`.
    ///
    /// With nft the rule stands in a prerouting chain, before destinations are rewritten (`dstnat` is -100), so that the
    /// published port of an etcd in a container is closed like any other; packets that are not for this node pass, and so
    /// does everything on the loopback, where the node's own addresses arrive, too. A drop of one base chain is final,
    /// whatever other tables accept. One transaction makes the table anew. Kernels before 5.9 cannot refuse there; they
    /// drop.
    ///
    /// With iptables the chain is jumped to first of all in INPUT and, for what was rewritten on its way to a container,
    /// in FORWARD; there the port that the client asked for is the connection's original one. One `iptables-restore` for
    /// each of IPv4 and IPv6 makes chain and jumps together.
    ///
    /// A reset that a client sends passes, so that etcd forgets the connections that were cut off. It can carry no request.
    static let rules = #"""
        label="pawl run $RUN"
        choose_tool() {
          tool=$WITH
          if [ "$tool" = auto ]; then
            if nft list tables >/dev/null 2>&1; then tool=nft
            elif iptables -w -S INPUT >/dev/null 2>&1; then tool=iptables
            else
              fail "neither nft nor iptables works on this node" \
                "install nftables, or stop the writers with \`command\` and leave etcd_firewall at none"
            fi
          elif ! command -v "$tool" >/dev/null 2>&1; then
            fail "there is no $tool on this node" "install it, or say with: auto"
          fi
        }
        nft_rules() {
          printf '%s\n' "table inet $TABLE" "delete table inet $TABLE" "table inet $TABLE {" "chain freeze {" \
            "type filter hook prerouting priority -150; policy accept;" \
            'iifname "lo" accept' "fib daddr type != local accept" "tcp flags & rst == rst accept" \
            "tcp dport { $(printf '%s' "$PORTS" | sed 's/ /, /g') } $1 comment \"$label\"" "}" "}"
        }
        families() {
          printf '%s\n' iptables
          if [ -e /proc/net/if_inet6 ] && command -v ip6tables >/dev/null 2>&1; then printf '%s\n' ip6tables; fi
        }
        jumps() { "$1" -w -S "$2" 2>/dev/null | grep -c -- "-j $CHAIN\$"; }
        unjump() {
          for hook in INPUT FORWARD; do
            n=$(jumps "$1" "$hook")
            while [ "$n" -gt 0 ]; do printf '%s\n' "-D $hook ! -i lo -p tcp -j $CHAIN"; n=$((n - 1)); done
          done
        }
        iptables_rules() {
          printf '%s\n' '*filter' ":$CHAIN - [0:0]"
          unjump "$1"
          printf '%s\n' "-A $CHAIN -p tcp --tcp-flags RST RST -j RETURN"
          for port in $PORTS; do
            printf '%s\n' \
              "-A $CHAIN -p tcp -m addrtype --dst-type LOCAL -m tcp --dport $port -m comment --comment \"$label\" -j REJECT --reject-with tcp-reset" \
              "-A $CHAIN -p tcp -m conntrack --ctstate DNAT --ctorigdstport $port -m comment --comment \"$label\" -j REJECT --reject-with tcp-reset"
          done
          printf '%s\n' "-I INPUT 1 ! -i lo -p tcp -j $CHAIN" "-I FORWARD 1 ! -i lo -p tcp -j $CHAIN" COMMIT
        }
        restore() { "$1-restore" -w --noflush 2>/dev/null <"$2" || "$1-restore" --noflush <"$2"; }
        rules_put() {
          rm -f -- "$keep/$KEY.refuses"
          if [ "$tool" = nft ]; then
            nft_rules "reject with tcp reset" | nft -f - && return 0
            nft_rules drop | nft -f - && echo drop >"$keep/$KEY.refuses"
            return
          fi
          for family in $(families); do
            iptables_rules "$family" >"$keep/$KEY.new"
            restore "$family" "$keep/$KEY.new" || { rm -f -- "$keep/$KEY.new"; return 1; }
          done
          rm -f -- "$keep/$KEY.new"
        }
        rules_print() {
          if [ "$(noted with)" = nft ]; then nft -nn list table inet "$TABLE" 2>/dev/null; return; fi
          for family in $(families); do
            printf '%s\n' "$family"; "$family" -w -S "$CHAIN" 2>/dev/null
            for hook in INPUT FORWARD; do "$family" -w -S "$hook" | sed -n '2p'; done
          done
        }
        # Why the rule is not in place; nothing when it is: the kernel gives it back as it was put, and it is what it must be.
        rules_trouble() {
          shown=$(rules_print)
          [ -n "$shown" ] || { echo "there is no table or chain of ours"; return; }
          [ "$shown" = "$(cat "$rules" 2>/dev/null)" ] || { echo "the rule was changed or is gone"; return; }
          for port in $(noted ports); do
            printf '%s\n' "$shown" | grep -Eq "(dport|dport \{|,) ?$port( |,|$)" || { echo "port $port is not in it"; return; }
          done
          case $shown in *REJECT*|*reject*|*drop*) ;; *) echo "nothing in it refuses"; return ;; esac
          if [ "$(noted with)" = iptables ]; then
            want=$(($(families | wc -l) * 2))
            [ "$(printf '%s\n' "$shown" | grep -c -- "^-A [IF][NO].* -j $CHAIN\$")" = "$want" ] ||
              echo "other rules stand before it"
          fi
        }
        rules_remove() {
          if [ "$1" = nft ]; then
            printf '%s\n' "table inet $TABLE" "delete table inet $TABLE" | nft -f -
            return
          fi
          for family in $(families); do
            "$family" -w -S "$CHAIN" >/dev/null 2>&1 || continue
            { printf '%s\n' '*filter'; unjump "$family"; printf '%s\n' "-F $CHAIN" "-X $CHAIN" COMMIT; } >"$keep/$KEY.new"
            restore "$family" "$keep/$KEY.new"
            rm -f -- "$keep/$KEY.new"
          done
        }
        rules_left() {
          if [ "$tool" = nft ]; then
            if nft -nn list table inet "$TABLE" >/dev/null 2>&1; then echo "table inet $TABLE is still there"; fi
            return
          fi
          for family in $(families); do
            if "$family" -w -S "$CHAIN" >/dev/null 2>&1; then echo "chain $CHAIN of $family is still there"; fi
          done
        }

        """#
}

# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts that run a matrix on real nodes share. To be sourced.

# shellcheck source=scripts/lib/prepare.sh
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"

work=
matrix=

# shellcheck disable=SC2317 # called by the traps
finish_matrix() {
    local status=$?
    trap - EXIT INT TERM
    if [ -n "$matrix" ] && kill "$matrix" 2>/dev/null; then wait "$matrix" || true; fi
    if "$bin/pawl" lab down --dir "$work/lab"; then
        rm -rf "$work"
    else
        say "the nodes could not be taken down; try again with: $bin/pawl lab down --dir $work/lab"
        [ "$status" -ne 0 ] || status=1
    fi
    exit "$status"
}

# run_matrix PRODUCT ARGUMENT...: builds pawl and the matrix, and runs it over a directory that goes with its nodes.
run_matrix() {
    local product=$1 argument status=0
    shift
    for argument; do
        case "$argument" in -h | --help) usage && exit ;; esac
    done
    [ "$(id -u)" -eq 0 ] || die "nodes that boot need root"
    need_packages "${node_packages[@]}" "${boot_packages[@]}"
    prepare_build
    swift build --product pawl >&2
    swift build --product "$product" >&2
    bin=$(swift build --show-bin-path)

    work=$(mktemp -d "${TMPDIR:-/tmp}/pawl-matrix-XXXXXX")
    trap finish_matrix EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # In the background, so that a signal to this script is not kept waiting.
    "$bin/$product" --directory "$work" "$@" &
    matrix=$!
    wait "$matrix" || status=$?
    matrix=
    exit "$status"
}

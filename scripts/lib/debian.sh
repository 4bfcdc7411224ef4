# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# Packages of other releases of Debian, unpacked and not installed: neither apt's sources nor its lists change. To be
# sourced.

# shellcheck source=scripts/lib/prepare.sh
source "$(dirname "${BASH_SOURCE[0]}")/prepare.sh"

scratch=$(mktemp -d)
chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT

# open_release RELEASE: takes an empty apt of its own for it; its directory is $release_dir.
open_release() {
    local mirror
    # shellcheck disable=SC2016 # the dollar is apt's
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -m 1 '/debian$' || true)
    [ -n "$mirror" ] || die "no Debian mirror among apt's sources"
    release_dir="$scratch/$1"
    mkdir -p "$release_dir/lists/partial" "$release_dir/cache/archives/partial" "$release_dir/root" "$release_dir/debs"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >"$release_dir/sources.list"
    release_options=(-o "Dir::Etc::sourcelist=$release_dir/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State::lists=$release_dir/lists" -o Dir::State::status=/dev/null -o "Dir::Cache=$release_dir/cache"
        -o APT::Sandbox::User=root)
    apt-get -qq "${release_options[@]}" update
}

# unpack PACKAGE...: these packages of the release, into $release_dir/root.
unpack() {
    local package
    (cd "$release_dir/debs" && apt-get -qq "${release_options[@]}" download "$@")
    for package in "$release_dir/debs"/*.deb; do dpkg-deb -x "$package" "$release_dir/root"; done
    rm "$release_dir/debs"/*.deb
}

# needed_by PACKAGE: its name and the names of all that an empty machine would need for it.
needed_by() {
    apt-get "${release_options[@]}" --simulate --no-install-recommends install "$1" | sed -n 's/^Inst \([^ ]*\) .*/\1/p'
}

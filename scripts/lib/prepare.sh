# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What the scripts of this directory share: words on stderr, packages, the Swift toolchain. To be sourced.

# The top of the repository, wherever it was cloned to and wherever the script was called from.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# What `swift build` links against, and what tests run.
build_packages=(libssh2-1-dev libsqlite3-dev zlib1g-dev pkg-config)
# What scripts/lint reads scripts with, where it is there.
# shellcheck disable=SC2034 # used by the scripts that source this file
lint_packages=(shellcheck)
# shellcheck disable=SC2034
node_packages=(etcd-server etcd-client openssh-server openssh-client sudo curl jq util-linux tcsh fish opendoas)
# shellcheck disable=SC2034
boot_packages=(systemd systemd-container dbus iproute2 mount nftables iptables)
# shellcheck disable=SC2034
container_packages=(podman crun)

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# usage: the comment at the top of the script that was called, without its first line.
usage() { sed -n '/^# usage:/,/^$/p' "$0" | sed -n 's/^# \{0,1\}//p'; }

# as_root COMMAND...: runs it as root, or fails when that is not possible without a password.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

has_package() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# need_packages PACKAGE...: installs those that are missing, or says how to.
need_packages() {
    local package missing=()
    if ! command -v dpkg-query >/dev/null; then
        say "not a Debian: make sure that what these packages hold is there: $*"
        return 0
    fi
    for package in "$@"; do
        has_package "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if ! can_be_root; then
        die "missing packages. Install them with: sudo apt-get install ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    install_quietly "${missing[@]}"
}

# Installs packages without starting or enabling the services that they bring: a machine that runs no etcd and no
# sshd runs none afterwards. Debian asks /usr/sbin/policy-rc.d before it starts a service.
install_quietly() {
    local unit
    (
        policy=/usr/sbin/policy-rc.d
        if [ ! -e "$policy" ]; then
            trap 'as_root rm -f "$policy"' EXIT
            printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
            as_root chmod 755 "$policy"
        fi
        install=(env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends)
        # The lists of packages may be missing or old.
        as_root "${install[@]}" "$@" >&2 || { as_root apt-get update -q >&2 && as_root "${install[@]}" "$@" >&2; }
    ) || die "apt-get failed; try: apt-get update && apt-get install $*"
    # Nodes boot what is enabled here.
    case " $* " in *" podman "*)
        as_root systemctl disable --quiet podman.service podman.socket podman-restart.service podman-auto-update.timer \
            2>/dev/null || true
        ;;
    esac
    [ -d /run/systemd/system ] || return 0
    for unit in etcd-server:etcd openssh-server:ssh; do
        case " $* " in *" ${unit%%:*} "*) as_root systemctl disable --quiet "${unit##*:}" || true ;; esac
    done
}

# need_swift: the toolchain that Package.swift asks for.
need_swift() {
    local version
    command -v swift >/dev/null ||
        die "there is no Swift toolchain; get 6.2 or newer from https://www.swift.org/install/linux"
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
    if [ "$(printf '%s\n6.2\n' "$version" | sort -V | head -n 1)" != 6.2 ]; then
        die "Swift ${version:-of an unknown version} is too old; get 6.2 or newer from https://www.swift.org/install/linux"
    fi
}

# prepare_build: all that a build needs; leaves the shell at the top of the repository.
prepare_build() {
    need_packages "${build_packages[@]}"
    need_swift
    cd "$root" || die "$root cannot be entered"
}

# few_at_a_time: the words with which `swift test` runs a few tests at once. What waits for another process holds no
# thread, so that by default all tests would be at work at once.
few_at_a_time() {
    local width=--experimental-maximum-parallelization-width
    if swift test --help-hidden 2>/dev/null | grep -q -e "$width"; then echo "$width 6"; else echo --no-parallel; fi
}

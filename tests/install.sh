#!/usr/bin/env bash
# Installs what is missing, and only that. Safe to run again; quiet when there is nothing to do.
#   tests/install.sh [build] [test] [net] [chain] [money] [docker] [bench]
# Needs a Rust toolchain (https://rustup.rs), which sudo need not find. Debian packages are installed with apt-get, as root.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "install: $*"; }
have() { command -v "$1" >/dev/null 2>&1; }
export PATH="$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"

missing=()
want() { have "$1" || missing+=("$2"); } # COMMAND PACKAGE

for part in "${@:-build}"; do
    case $part in
    build)
        want cc build-essential
        want git git
        # RocksDB's bindings are generated at build time.
        ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 || missing+=(libclang-dev)
        want clang clang
        ;;
    net)
        want nft nftables
        want ip iproute2
        want tcpdump tcpdump
        want dnsmasq dnsmasq-base
        want conntrack conntrack
        want iptables iptables
        want ping iputils-ping
        # Foreign peers of the tunnel.
        want wg wireguard-tools
        want wireguard-go wireguard-go
        want curl curl
        ;;
    chain)
        want node nodejs
        want npm npm
        ;;
    money)
        want node nodejs
        want npm npm
        # halmos and slither live in an environment of their own; prove.sh makes it.
        python3 -c 'import ensurepip' >/dev/null 2>&1 || missing+=(python3-venv)
        ;;
    bench)
        want nft nftables
        want ip iproute2
        want wg wireguard-tools
        want iperf3 iperf3
        want ping iputils-ping
        want ethtool ethtool
        want jq jq
        ;;
    docker)
        want dockerd docker.io
        want docker docker.io
        want docker-compose docker-compose
        want debootstrap debootstrap
        ;;
    test) ;;
    *)
        echo "install: no such part: $part" >&2
        exit 2
        ;;
    esac
done

if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || { echo "install: needs root to install: ${missing[*]}" >&2; exit 4; }
    have apt-get || { echo "install: no apt-get here; please install: ${missing[*]}" >&2; exit 1; }
    say "apt-get install ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # An engine that a package starts would outlive the tests; what needs one starts its own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy
        chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    apt-get update -qq >/dev/null
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # Its package enables it for the next boot too, where its firewall would keep an exit's guests out.
    if [[ " ${missing[*]} " == *" docker.io "* ]] && [ -d /run/systemd/system ]; then
        systemctl disable --quiet docker.service docker.socket containerd.service || true
        say "docker.io is not started at boot; systemctl enable docker, if you want it"
    fi
fi

need_cargo() { have cargo || { echo "install: no cargo; see https://rustup.rs" >&2; exit 1; }; }

for part in "${@:-build}"; do
    case $part in
    # The toolchain of who typed sudo is in a home that root does not look into.
    build) [ -n "${SUDO_USER:-}" ] || need_cargo ;;
    test)
        need_cargo
        if ! have cargo-nextest; then
            say "cargo install cargo-nextest (some minutes)"
            cargo install --quiet --locked cargo-nextest
        fi
        ;;
    chain)
        contracts=payments/contracts
        stamp=$contracts/node_modules/.installed
        if [ -f $contracts/package-lock.json ] && ! cmp -s $contracts/package-lock.json "$stamp"; then
            say "npm ci in $contracts"
            # Where a registry lacks the test node's builds for other systems, `npm ci` takes the lock for
            # incomplete; `npm install` then installs what the lock names, by the same hashes.
            (cd $contracts && { npm ci --silent || npm install --no-save --silent; } && [ -d node_modules/solc ])
            cp $contracts/package-lock.json "$stamp"
        fi
        ;;
    esac
done

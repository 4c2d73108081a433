#!/usr/bin/env bash
# Makes the base image `warren-base:SUITE` with debootstrap, so that nothing comes from an image registry.
# The packed root is kept in ~/.cache/warren and used again until the list of packages changes.
#   deploy/docker/base.sh [SUITE]      default: the Debian release of this machine
# Needs root, and an engine that `docker info` reaches. Prints the image's name.
set -euo pipefail

suite=${1:-}
if [ -z "$suite" ]; then
    # The binary is built here, so the base must not have an older C library than this machine.
    suite=$(. /etc/os-release; [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}" || true)
    suite=${suite:-trixie}
fi
# busybox serves and fetches files in the demo; the rest is what a node needs.
packages=busybox,ca-certificates,curl,iproute2,libcap2-bin,libstdc++6,nftables
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
image=warren-base:$suite

cache=${XDG_CACHE_HOME:-$HOME/.cache}/warren
stamp=$(printf '%s' "$suite $packages" | sha256sum | cut -c1-12)
packed=$cache/base-$suite-$stamp.tar

if [ ! -s "$packed" ]; then
    mkdir -p "$cache"
    root=$(mktemp -d "$cache/base.XXXXXX")
    trap 'rm -rf "$root" "$packed.part"' EXIT
    echo "base.sh: debootstrap $suite (some minutes, once)" >&2
    debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 20 "$cache/debootstrap.log" >&2; exit 1; }
    tar -C "$root" --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' --exclude='./usr/share/doc/*' \
        --exclude='./usr/share/locale/*' --exclude='./usr/share/man/*' --exclude='./proc/*' --exclude='./sys/*' \
        --exclude='./dev/*' -cf "$packed.part" .
    mv "$packed.part" "$packed"
fi
if [ "$(docker image inspect -f '{{ index .Config.Labels "warren.base" }}' "$image" 2>/dev/null)" != "$stamp" ]; then
    docker import --change "LABEL warren.base=$stamp" "$packed" "$image" >/dev/null
fi
echo "$image"

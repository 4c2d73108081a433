#!/usr/bin/env bash
# Builds the image `warren:local` (and `warren:plain`, without capabilities) from this source tree.
#   deploy/docker/build.sh [BASE]      default base: this machine's Debian release, from the registry
# Builds with optimisation (the first time a long while); WARREN_BINARY=FILE takes a binary that was built before.
# deploy/docker/base.sh makes a base without a registry: deploy/docker/build.sh "$(deploy/docker/base.sh)"
set -euo pipefail
cd "$(dirname "$0")/../.."

# The binary is built here, so the base must not have an older C library than this machine (as base.sh has it).
suite=$(. /etc/os-release; [ "${ID:-}" = debian ] && echo "${VERSION_CODENAME:-}" || true)
base=${1:-debian:${suite:-trixie}-slim}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
binary=${WARREN_BINARY:-}
if [ -z "$binary" ]; then
    cargo build --quiet --release --workspace --bins
    binary=$CARGO_TARGET_DIR/release/warren
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
strip -o "$context/warren" "$binary"
cp deploy/Dockerfile "$context/"
for target in plain node; do
    tag=warren:local
    [ $target = node ] || tag=warren:$target
    # With a base of our own nothing is fetched; the registry's base installs what is missing.
    network=default
    case $base in warren-base:*) network=none ;; esac
    DOCKER_BUILDKIT=0 docker build --quiet --network $network --build-arg BASE="$base" --target $target \
        --tag $tag "$context" >"$context/log" 2>&1 || { cat "$context/log" >&2; exit 1; }
done
# A binary that this base cannot run is found here, not by whoever starts it.
docker run --rm --network none --cap-add NET_ADMIN --cap-add SETUID warren:local version >"$context/log" 2>&1 ||
    { cat "$context/log" >&2; echo "build.sh: $base cannot run $binary" >&2; exit 1; }
echo "build.sh: warren:local is ready"

#!/usr/bin/env bash
# Builds the image `warren:local` (and `warren:plain`, without capabilities) from this source tree.
#   deploy/docker/build.sh [BASE]      default base: this machine's Debian release, from the registry
# Builds with optimisation (the first time a long while); WARREN_BINARY=FILE takes a binary that was built before.
# WARREN_IMAGE and WARREN_PLAIN_IMAGE are other names for the two. What a name stood for is replaced once the new one runs.
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

image=${WARREN_IMAGE:-warren:local} plain=${WARREN_PLAIN_IMAGE:-warren:plain}
untried=warren-untried:$$
context=$(mktemp -d)
trap 'rm -rf "$context"; docker rmi $untried-plain $untried-node >/dev/null 2>&1 || true' EXIT
strip -o "$context/warren" "$binary"
cp deploy/Dockerfile "$context/"
for target in plain node; do
    # With a base of our own nothing is fetched; the registry's base installs what is missing.
    network=default
    case $base in warren-base:*) network=none ;; esac
    DOCKER_BUILDKIT=0 docker build --quiet --network $network --build-arg BASE="$base" --target $target \
        --tag $untried-$target "$context" >"$context/log" 2>&1 || { cat "$context/log" >&2; exit 1; }
done
# A binary that this base cannot run is found here, not by whoever starts it.
docker run --rm --network none --cap-add NET_ADMIN --cap-add SETUID $untried-node version >"$context/log" 2>&1 ||
    { cat "$context/log" >&2; echo "build.sh: $base cannot run $binary" >&2; exit 1; }
docker tag $untried-plain "$plain"
docker tag $untried-node "$image"
echo "build.sh: $image is ready"

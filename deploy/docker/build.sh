#!/usr/bin/env bash
# Builds the image `warren:local` (and `warren:plain`, without capabilities) from this source tree.
#   deploy/docker/build.sh [BASE]      default base: debian:bookworm-slim from the registry
# WARREN_BINARY=FILE takes a binary that was built before.
# deploy/docker/base.sh makes a base without a registry: deploy/docker/build.sh "$(deploy/docker/base.sh)"
set -euo pipefail
cd "$(dirname "$0")/../.."

base=${1:-debian:bookworm-slim}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
binary=${WARREN_BINARY:-}
if [ -z "$binary" ]; then
    # By the workspace, not the package, so that dependencies keep the features the tests built them with.
    cargo build --quiet --workspace --bins
    binary=$CARGO_TARGET_DIR/debug/warren
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
strip -o "$context/warren" "$binary"
cp deploy/Dockerfile "$context/"
for target in plain node; do
    tag=warren:local
    [ $target = node ] || tag=warren:$target
    # With a base of our own nothing is fetched; the registry's base installs three packages.
    network=default
    case $base in warren-base:*) network=none ;; esac
    DOCKER_BUILDKIT=0 docker build --quiet --network $network --build-arg BASE="$base" --target $target \
        --tag $tag "$context" >"$context/log" 2>&1 || { cat "$context/log" >&2; exit 1; }
done
echo "build.sh: warren:local is ready"

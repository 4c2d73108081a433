#!/usr/bin/env bash
# The compose demo on a real engine: a consumer whose only way out is an exit, 64 MiB, paid and settled.
# Uses the engine that runs; otherwise starts one of its own, in a network namespace of its own, so that
# its bridges and firewall rules vanish with it. Prints `ok …` and `not ok …` lines; leaves nothing behind but the base
# image, which the next run uses.
# Needs root, docker.io, a compose, debootstrap (tests/install.sh docker).
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/deploy/cxx:$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"

say() { echo "docker: $*"; }
work=$(mktemp -d /tmp/wr-docker.XXXXXX)
engine= netns=
project=wr-demo
# An operator's own images have other names.
export WARREN_IMAGE=wr-demo:local WARREN_PLAIN_IMAGE=wr-demo:plain
image_of() { docker image inspect --format '{{.Id}}' "$1" 2>/dev/null || echo none; }

# Both generations of compose read the same files.
COMPOSE="docker-compose -p $project -f deploy/compose.demo.yml"
if docker compose version >/dev/null 2>&1; then COMPOSE=${COMPOSE/docker-compose/docker compose}; fi
export COMPOSE
compose() { $COMPOSE "$@"; }

finish() {
    local status=$?
    trap - EXIT INT TERM
    set +e
    if [ $status != 0 ] && docker info >/dev/null 2>&1; then
        compose ps 2>/dev/null || true
        compose logs --no-color --tail 40 2>/dev/null | tail -n 200 || true
    fi
    docker info >/dev/null 2>&1 && compose down --volumes --timeout 5 >"$work/down.log" 2>&1
    docker rmi $WARREN_IMAGE $WARREN_PLAIN_IMAGE >/dev/null 2>&1
    if [ -n "$engine" ]; then
        kill "$engine" 2>/dev/null || true
        for _ in $(seq 600); do kill -0 "$engine" 2>/dev/null || break; sleep 0.1; done
        ip netns del "$netns" 2>/dev/null || true
    fi
    rm -rf "$work"
    exit $status
}
trap finish EXIT INT TERM

# until SECONDS WHAT COMMAND…: waits for a condition, never for luck.
until_true() {
    local deadline=$((SECONDS + $1)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || { echo "not ok $what: not within its time"; return 1; }
        sleep 0.3
    done
}

start_engine() {
    netns=wr-docker-$$
    ip netns add "$netns"
    ip -n "$netns" link set lo up
    local store=overlay2
    [ "$(stat -f -c %T "$work")" != overlayfs ] || store=vfs # An overlay cannot lie on an overlay.
    export DOCKER_HOST=unix://$work/docker.sock
    setsid nsenter --net="/run/netns/$netns" dockerd --host "$DOCKER_HOST" --pidfile "$work/pid" \
        --data-root "$work/data" --exec-root "$work/exec" --bridge none --storage-driver $store \
        --exec-opt native.cgroupdriver=cgroupfs >"$work/dockerd.log" 2>&1 </dev/null &
    engine=$!
    until_true 60 "engine starts" docker info || { tail -n 20 "$work/dockerd.log"; return 1; }
    say "started an engine of our own (pid $engine, $store)"
}

if docker info >/dev/null 2>&1; then say "using the engine that runs"; else start_engine; fi

base=$(bash deploy/docker/base.sh)
say "base image $base"
# What the tests built, not an operator's optimised build: by the workspace, so that nothing is compiled again.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
cargo build --quiet --workspace --bins
theirs=$(image_of warren:local)
WARREN_BINARY=$CARGO_TARGET_DIR/debug/warren bash deploy/docker/build.sh "$base"
built=$(image_of $WARREN_IMAGE)
! WARREN_BINARY=/bin/false bash deploy/docker/build.sh "$base" >"$work/broken.log" 2>&1 ||
    { echo "not ok a program that does not run is refused"; exit 1; }
if [ "$(image_of $WARREN_IMAGE)" = "$built" ]; then echo "ok one that does not run replaces no image"; else echo "not ok the image is gone"; exit 1; fi
if [ "$(image_of warren:local)" = "$theirs" ]; then echo "ok an operator's own image stays as it was"; else echo "not ok warren:local was replaced"; exit 1; fi

# Containers take the device's own mode; not every machine lets others than root open it.
export WARREN_TUN=/dev/net/tun
if [ "$(stat -c %a /dev/net/tun)" != 666 ]; then
    mknod -m 666 "$work/tun" c 10 200
    export WARREN_TUN=$work/tun
fi

compose up -d >"$work/up.log" 2>&1 || { cat "$work/up.log"; exit 1; }
bash deploy/docker/proof.sh

compose down --volumes --timeout 10 >"$work/down.log" 2>&1
left=$(docker ps -aq --filter "name=${project}[_-]"; docker network ls -q --filter "name=${project}_"; docker volume ls -q --filter "name=${project}_")
if [ -z "$left" ]; then echo "ok down leaves no container, network or volume"; else echo "not ok down left: $left"; exit 1; fi

#!/usr/bin/env bash
# Runs a whole make-believe network on this machine, pays for a download in it, and says what it measured.
#   deploy/demo.sh [--json FILE] [--mib N]
# Debian with a Rust toolchain, as root: it installs what is missing, builds, runs `warren demo`, and leaves nothing
# behind but the build and the packages. Progress is on standard error.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
export PATH="$here/deploy/cxx:$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}
# As tests/run.sh has it, so that what the one has compiled the other need not.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}

args=()
while [ $# -gt 0 ]; do
    case $1 in
    --json)
        [ $# -ge 2 ] || { echo "demo.sh: --json needs a file" >&2; exit 2; }
        args+=(--json "$(realpath -m "$2")")
        shift 2
        ;;
    --mib)
        [ $# -ge 2 ] || { echo "demo.sh: --mib needs a number" >&2; exit 2; }
        args+=(--mib "$2")
        shift 2
        ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "demo.sh: no such flag: $1 (known: --json FILE, --mib N)" >&2; exit 2 ;;
    esac
done
[ "$(id -u)" = 0 ] || { echo "demo.sh: network namespaces need root: sudo $0 $*" >&2; exit 4; }

cd "$here"
tests/install.sh build net >&2
begun=$SECONDS
# The whole workspace, as the tests build it: what one has compiled the other need not.
quiet=()
[ -t 2 ] || quiet=(--quiet)
[ -x "$CARGO_TARGET_DIR/debug/warren" ] || echo "demo: the first build takes a quarter of an hour on two cores" >&2
cargo build "${quiet[@]}" --workspace --bins >&2
echo "demo: built in $((SECONDS - begun)) s" >&2
exec "$CARGO_TARGET_DIR/debug/warren" demo "${args[@]}"

#!/usr/bin/env bash
# Prints where a foreign WireGuard is, at a version that does not move; builds it if it is not there (some minutes).
#   tests/bench/foreign.sh boringtun-cli|gotatun-cli
set -euo pipefail
case ${1:-} in
boringtun-cli) version=0.7.1 program=boringtun-cli ;;
gotatun-cli) version=0.10.2 program=gotatun ;;
*) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2 ;;
esac
root=${XDG_CACHE_HOME:-$HOME/.cache}/warren/foreign/$1-$version
if [ ! -x "$root/bin/$program" ]; then
    echo "install: $1 $version (some minutes)" >&2
    cargo install --quiet --locked --version "$version" --root "$root" "$1" >&2
fi
echo "$root/bin/$program"

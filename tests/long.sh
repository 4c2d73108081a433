#!/usr/bin/env bash
# The sizes that are too long for every day.
#   tests/long.sh [money]
#
# money    the contract: more runs of every fuzzed test, every property, and every mutant (half an hour); then
#          1 000 000 schedules of faults over the channels (WARREN_SCHEDULES says another number). What is
#          done stands in target/schedules.done, and the next start goes on from there.
set -euo pipefail
exec </dev/null
cd "$(dirname "$0")/.."

export PATH="$HOME/.cargo/bin:$PATH"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}

for suite in "${@:-money}"; do
    case $suite in
    money)
        tests/install.sh money
        payments/contracts/prove.sh --long
        cargo test --workspace --test sim -- --ignored --exact --nocapture long::a_million_schedules
        ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "long.sh: no such suite: $suite" >&2; exit 2 ;;
    esac
done

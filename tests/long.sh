#!/usr/bin/env bash
# The sizes that are too long for every day.
#   tests/long.sh [money]
#
# money    the contract: more runs of every fuzzed test, every property, and every mutant (half an hour)
set -euo pipefail
exec </dev/null
cd "$(dirname "$0")/.."

for suite in "${@:-money}"; do
    case $suite in
    money)
        tests/install.sh money
        payments/contracts/prove.sh --long
        ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "long.sh: no such suite: $suite" >&2; exit 2 ;;
    esac
done

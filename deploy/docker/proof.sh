#!/usr/bin/env bash
# Proves, on the running deploy/compose.demo.yml, that a consumer without any other way out got 64 MiB through
# an exit, and that the exit was paid and settled. Prints one `ok …` or `not ok …` line for each claim.
set -uo pipefail
cd "$(dirname "$0")/../.."
compose=${COMPOSE:-docker compose -f deploy/compose.demo.yml}
web=http://192.0.2.80

on() { local service=$1; shift; $compose exec -T "$service" "$@" </dev/null; }
warren() { local service=$1; shift; on "$service" warren "$@" --json --quiet; }
# field NAME: the first value of that name in the JSON on standard input.
field() { tr -d '\n' | grep -oE "\"$1\": *(\"[^\"]*\"|[^,}]*)" | head -n 1 | sed -E "s/^\"$1\": *//; s/^\"//; s/\"\$//; s/ *\$//"; }

bad=0
claim() { # claim SENTENCE COMMAND…
    local sentence=$1
    shift
    if "$@"; then echo "ok $sentence"; else echo "not ok $sentence"; bad=1; fi
}
# waits SECONDS COMMAND…: for a condition, never for luck.
waits() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.3
    done
}
reaches_web() { on "$1" curl -fsS --max-time 5 -o /dev/null $web/sum 2>/dev/null; }
cut_off() { ! reaches_web "$1"; }

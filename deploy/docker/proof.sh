#!/usr/bin/env bash
# Proves, on the running deploy/compose.demo.yml, that a consumer without any other way out got 64 MiB through
# an exit, and that the exit was paid and settled. Prints one `ok …` or `not ok …` line for each claim.
set -uo pipefail
cd "$(dirname "$0")/../.."
compose=${COMPOSE:-docker compose -p warren-demo -f deploy/compose.demo.yml}
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
# It is there, and reaches nothing.
cut_off() { on "$1" true && ! reaches_web "$1"; }
# base_units NAME: the wei of the first money of that name.
base_units() { tr -d '\n' | grep -oE "\"$1\": *\{[^}]*\}" | head -n 1 | grep -oE '"base_units": *"[0-9]+"' | tr -dc 0-9; }
more_than_nothing() { [ -n "$1" ] && [ "$1" != 0 ]; }
offers_known() { [ "$(warren consumer status | field offers)" -ge 2 ]; }

waits 120 reaches_web exit-a || { echo "not ok the make-believe internet stands"; exit 1; }
claim "the consumer finds both exits" waits 120 offers_known
claim "without a tunnel the consumer reaches nothing beyond its street" cut_off consumer

# What was claimed before does not count: this may be the second proof of the same market.
claimed_by() { warren "$1" earn | base_units claimed; }
declare -A before
for service in exit-a exit-b; do before[$service]=$(claimed_by $service); done

warren consumer fund --faucet 1 >/dev/null || exit 1
if ! up=$(warren consumer up --timeout 120); then
    echo "not ok the tunnel comes up: $up"
    exit 1
fi
exit_node=$(field exit <<<"$up")
echo "ok the tunnel comes up through ${exit_node:0:8}"

wanted=$(on web cut -d' ' -f1 /srv/www/sum)
begun=$SECONDS
got=$(on consumer sh -c "curl -fsS --max-time 300 $web/blob | sha256sum | cut -d' ' -f1")
claim "64 MiB came through the tunnel unchanged (in $((SECONDS - begun)) s)" [ "$got" = "$wanted" ]
log=$($compose logs --no-color web)
claim "the web server saw an exit's address" grep -qE '203\.0\.113\.1[12]\]?:[0-9]+: url:/blob' <<<"$log"
# Whatever went beside the tunnel would come from the engine's own address on that line, or from another container.
others=$(grep 'url:/blob' <<<"$log" | grep -vE '203\.0\.113\.1[12]\]?:')
claim "and no other one" [ -z "$others" ]
used=$(warren consumer status)
paid=$(base_units paid <<<"$used")
claim "the consumer paid ($paid wei)" more_than_nothing "$paid"

goes_down() { warren consumer down >/dev/null; }
claim "the tunnel is taken down" goes_down
claim "after down the consumer reaches nothing again" cut_off consumer

claimed=0
for service in exit-a exit-b; do
    warren $service channel claim >/dev/null 2>&1 || true
    settled() { [ "$(warren $service earn | base_units claimable)" = 0 ]; }
    waits 60 settled || true
    here=$(claimed_by $service)
    claimed=$((claimed + ${here:-0} - ${before[$service]:-0}))
done
claim "an exit settled on chain ($claimed wei)" [ "$claimed" -gt 0 ]
claim "and got what was paid" [ "$claimed" -ge "${paid:-0}" ]
exit $bad

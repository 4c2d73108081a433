#!/usr/bin/env bash
# How fast the tunnel is, beside others on this machine, in network namespaces without a way out. Needs root.
#   tests/bench/tunnel.sh [--rounds N] [--secs S] [--wire veth|nic|both] [--only PART,…] [--also NAME=COMMAND]…
#                         [--against NAME=BENCH]… [--without NAME]… [--bench BENCH] [--out FILE] [--more]
#
# Parts: tcp      1 and 4 flows, up and down: goodput, CPU seconds a GB at either end; delay idle and under 4 flows; memory
#        small    64-byte UDP at overload: packets a second that arrive at the server, and that iperf3 takes in there
#        guests   1, 10 and 100 guests of a flow each at once, and one guest of as many flows: the sum, and how even it is
#                 (Jain), by the exit's own meters
#        bare     the same connections without a tunnel, forwarded and translated by the same machine
#        switches payment, and policy, switched off and on under one flow: what each costs (what the meter costs is a
#                 few ns a packet: part micro)
#        far      words that come 100 ms late: paid beside unpaid
#        micro    seal, open, split, merge, route: no namespaces, one core
# All by default. In every round each candidate is started anew, in an order drawn anew; what is compared is compared
# within a round. Rounds in which other programs took more than 5 % of the processors are counted, but left out where
# there are quiet ones. Nothing here is a threshold. --wire both (the default) measures part tcp on a veth that passes
# super-packets whole, and again as a line card would: cut in software by the sender, merged by the receiver.
#
# Beside Warren: boringtun-cli 0.7.1 and gotatun-cli 0.10.2, installed from crates.io into the cache, and each --also:
# any userspace WireGuard that is started as `COMMAND DEVICE`, stays in the foreground and takes `wg setconf`, for
# instance --also 'wireguard-go=wireguard-go -f'. --against compares with another build of our own ends, --without
# leaves a candidate out.
#
# Ours is node/tunnel/examples/bench, a release build with all a paid session switches on: the meter, a gate with an
# allowance to the byte that grows as words come (verified, and synced to the disk before they count), source
# addresses checked, deny table and NAT as `warren exit enable` makes them. The others forward and translate only.
# Prints a table; writes target/figures/tunnel.json, and each single measurement to target/run/tunnel.jsonl. --more adds
# rounds to those measured before instead of beginning anew, so that a long measurement can be made in pieces.
set -uo pipefail
cd "$(dirname "$0")/../.."
export PATH="$PWD/deploy/cxx:$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}

usage() { echo "tunnel.sh: $1 (--help tells more)" >&2; exit 2; }
rounds=10 secs=2 wires=(veth nic) parts=(tcp small guests bare switches far micro) bench='' more=''
figures=target/figures/tunnel.json
declare -A foreign=() others=() without=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) rounds=$2 && shift ;;
    --secs) secs=$2 && shift ;;
    --wire) case $2 in veth | nic) wires=("$2") ;; both) wires=(veth nic) ;; *) usage "no such wire: $2" ;; esac; shift ;;
    --only) IFS=, read -ra parts <<<"$2"; shift ;;
    --also) foreign[${2%%=*}]=${2#*=} && shift ;;
    --against) others[${2%%=*}]=${2#*=} && shift ;;
    --without) without[$2]=1 && shift ;;
    --bench) bench=$2 && shift ;;
    --out) figures=$2 && shift ;;
    --more) more=1 ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) usage "what is $1?" ;;
    esac
    shift
done
for part in "${parts[@]}"; do
    case $part in tcp | small | guests | bare | switches | far | micro) ;; *) usage "no such part: $part" ;; esac
done
[ "$(id -u)" = 0 ] || { echo "tunnel.sh: needs root, for network namespaces" >&2; exit 4; }
wants() { [[ " ${parts[*]} " == *" $1 "* ]]; }

records=target/run/tunnel.jsonl
mkdir -p target/run "$(dirname "$figures")"
touch "$records"
[ -n "$more" ] || : >"$records"
earlier=$(jq -s 'map(.round) | max // 0' "$records")
scratch=$(mktemp -d "${TMPDIR:-/tmp}/warren-bench.XXXXXX")
tag=wb$$
source tests/bench/ends.sh
trap 'take_down; take_apart; rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

tests/install.sh build bench
if [ -z "$bench" ]; then
    cargo build --release --locked -p warren-tunnel --example bench || exit 1
    bench=$CARGO_TARGET_DIR/release/examples/bench
fi
if wants tcp || wants small; then
    for name in boringtun-cli gotatun-cli; do
        [ -z "${without[$name]:-}" ] || continue
        program=$(tests/bench/foreign.sh "$name") || { echo "skipped: $name does not build here"; continue; }
        foreign[$name]="$program -f --disable-drop-privileges"
    done
fi

# note WIRE ROUND CANDIDATE TEST FIGURES: one measurement; figures are the inside of a JSON object.
note() { echo "{\"wire\":\"$1\",\"round\":$2,\"of\":\"$3\",\"test\":\"$4\",$5}" >>"$records"; }
say() { printf '%s\n' "$*" >&2; }
shuffled() { printf '%s\n' "$@" | shuf; }

# Measures one candidate that is up: part tcp.
measure_tcp() {
    local wire=$1 round=$2 name=$3 test idle
    idle=$(delay 50)
    note "$wire" "$round" "$name" idle "$idle,$(memory)"
    for test in $(shuffled up1 down1 up4 down4); do
        local flows=${test: -1} way=() quiet=cat
        [[ $test == down* ]] && way=(-R)
        if [ "$flows" = 4 ]; then (delay $((secs * 50)) >"$scratch/delay") & fi
        local pinging=$!
        local before=$(cpu) line
        line=$(flow -t "$secs" -P "$flows" "${way[@]}" | jq -r '.end.sum_received | "\(.bits_per_second / 1e9) \(.bytes / 1e9)"')
        local after=$(cpu)
        [ "$flows" = 4 ] && wait $pinging
        read -r rate gigabytes <<<"$line"
        [ "${gigabytes:-null}" != null ] || { say "  $name $test: no result"; continue; }
        note "$wire" "$round" "$name" "$test" "$(per_gb "$before" "$after" "$gigabytes"),\"gbit\":$rate$([ "$flows" = 4 ] && echo ",$(<"$scratch/delay")")"
    done
    note "$wire" "$round" "$name" after "$(memory)"
}

# What the tunnel carries is what comes to the server's door. Of that, iperf3 takes in what it finds a processor for, and
# finds the less the more comes: that is noted beside it.
measure_small() {
    local before=$(datagrams) line seconds taken
    line=$(flow -u -b 0 -l 64 -t "$secs" | jq -r '.end.sum | "\(.seconds) \((.packets - .lost_packets) / .seconds)"')
    local after=$(datagrams)
    read -r seconds taken <<<"$line"
    [ "${taken:-null}" = null ] || note "$1" "$2" "$3" small "\"pps\":$(jq -n "($after - $before) / $seconds"),\"taken\":$taken"
}

# watched WIRE ROUND CANDIDATE COMMAND…: notes which part of the processors others took meanwhile.
watched() {
    local wire=$1 round=$2 name=$3 taken=$(strangers) begun=$EPOCHREALTIME
    shift 3
    "$@"
    note "$wire" "$round" "$name" strangers "$(awk -v ticks=$(($(strangers) - taken)) -v hz="$(getconf CLK_TCK)" -v cpus="$(nproc)" -v begun="$begun" -v now="$EPOCHREALTIME" '
        BEGIN { printf "\"share\":%.4f", ticks / hz / cpus / (now - begun) }')"
}

# Every candidate once, in a new order.
compare() {
    local wire=$1 round=$2 name
    for name in $(shuffled warren "${!foreign[@]}" "${!others[@]}"); do
        [ -z "${without[$name]:-}" ] || continue
        start "$name" || { say "  $name did not start"; take_down; continue; }
        ! wants tcp || watched "$wire" "$round" "$name" measure_tcp "$wire" "$round" "$name"
        ! wants small || [ "$wire" != veth ] || watched "$wire" "$round" "$name" measure_small "$wire" "$round" "$name"
        take_down
    done
}

# One tunnel and one flow each way; payment, then policy, off and on under it, a second each time. Two processes are never
# as alike as two seconds of one.
switches() {
    local test way what pair state
    start switched || { take_down; return; }
    for test in $(shuffled up1 down1); do
        way=()
        [ "$test" = up1 ] || way=(-R)
        ip netns exec $client timeout 120 iperf3 -c 203.0.113.2 -C cubic -t 100 "${way[@]}" >/dev/null 2>&1 &
        local flowing=$!
        sleep 1
        for what in $(shuffled payment policy); do
            for pair in 1 2 3 4; do
                for state in $(shuffled on off); do
                    switch "$what" "$state"
                    sleep 0.2
                    note switches "$1" "$what-$state" "$test.$pair" "$(a_second)"
                done
            done
            switch "$what" on
        done
        kill $flowing && wait $flowing
    done
    take_down
}

# What the ends use in a second, for what the exit's meter counts meanwhile.
a_second() {
    local used_near=($(by_threads "$near")) used_far=($(by_threads "$far_end")) bytes=$(usage_of_all)
    sleep 1
    local now_near=($(by_threads "$near")) now_far=($(by_threads "$far_end"))
    awk -v bytes="$bytes" -v now="$(usage_of_all)" -v near=$((now_near[0] - used_near[0])) -v far=$((now_far[0] - used_far[0])) -v payers=$((now_far[1] - used_far[1])) '
        BEGIN { n = now - bytes; printf "\"cpu_client\":%.4f,\"cpu_exit\":%.4f,\"payers\":%.5f,\"gbit\":%.4f", near / n, far / n, payers / n, n * 8e-9 }'
}

far() {
    local name
    for name in $(shuffled unpaid far far-fixed); do
        start "$name" || { take_down; continue; }
        flow -t 6 -P 4 >/dev/null # Credit grows with what is paid; what is measured is a session under way.
        for test in $(shuffled up4 down4); do
            local way=()
            [ "$test" = up4 ] || way=(-R)
            local rate=$(flow -t "$secs" -P 4 "${way[@]}" | jq '.end.sum_received.bits_per_second / 1e9')
            [ "${rate:-null}" = null ] || note far "$1" "$name" "$test" "\"gbit\":$rate"
        done
        take_down
    done
}

# crowds PART ROUND CANDIDATE: so many guests at once, of one flow each; and one guest of as many flows, for a hundred flows
# of TCP on two processors are slower than one, whoever carries them.
crowds() {
    local crowd many flows test
    for crowd in $(shuffled 1x1 1x10 1x100 10x1 100x1); do
        many=${crowd%x*} flows=$((${crowd%x*} * ${crowd#*x}))
        start "$3" "$many" || { take_down; continue; }
        for test in $(shuffled up down); do
            crowd "$many" "$flows" "$test" || { say "  $many guests, $flows flows, $test: no result"; cat "$scratch/load" >&2; continue; }
            note "$1" "$2" "$crowd" "$test" "$(<"$scratch/crowd")"
        done
        take_down
    done
}
guests() { crowds guests "$1" paid; }
bare() { crowds bare "$1" bare; }

begun=$SECONDS
for wire in "${wires[@]}"; do
    wants tcp || { wants small && [ "$wire" = veth ]; } || continue
    set_up "$wire"
    for ((round = 1; round <= rounds; round++)); do
        say "$wire, round $round of $rounds, $((SECONDS - begun)) s"
        compare "$wire" $((earlier + round))
    done
    take_apart
done
for part in switches far guests bare; do
    wants $part || continue
    set_up veth
    for ((round = 1; round <= rounds; round++)); do
        say "$part, round $round of $rounds, $((SECONDS - begun)) s"
        watched $part $((earlier + round)) '' $part $((earlier + round))
    done
    take_apart
done
if wants micro; then
    cargo bench --locked -p warren-tunnel --bench micro | tee "$scratch/micro"
    while read -r name nanos; do note micro 1 warren "$name" "\"ns\":$nanos"; done < <(sed -nE 's/^([a-z0-9_]+) +([0-9.]+) ns.*/\1 \2/p' "$scratch/micro")
fi
report() { jq -s -r --arg how "tests/bench/tunnel.sh --secs $secs" --arg out "$1" -f tests/bench/report.jq "$records"; }
report table
report figures >"$figures"
echo "figures: $figures; single measurements: $records; $((SECONDS - begun)) s"

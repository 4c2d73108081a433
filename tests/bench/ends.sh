# The world of the benchmark and the candidates in it; sourced by tunnel.sh.
#
#   client 192.0.2.1 ── 192.0.2.2 exit 203.0.113.1 ── 203.0.113.2 server        tunnel: client to exit, MTU 1420
#
# Documentation addresses in namespaces of their own: nothing can leave. Uses $tag, $scratch, $bench, $foreign, $others.

client=$tag-c exit_=$tag-e server=$tag-s
pids=() served=()
# Ends of different machines share two processors as machines, whatever number of threads each has: a session is one
# weight to the scheduler (kernel.sched_autogroup_enabled; without it, each thread is one).
own_machine=setsid
[ "$(cat /proc/sys/kernel/sched_autogroup_enabled 2>/dev/null)" = 1 ] || echo 'no autogroup here: who has many threads has many shares of the processors' >&2
# Devices of guests without a tunnel.
bare=()
# The two ends being measured.
near='' far_end=''

set_up() {
    local ns
    take_apart
    for ns in $client $exit_ $server; do
        ip netns add "$ns" || exit 1
        ip -n "$ns" link set lo up
    done
    ip link add c0 netns $client type veth peer name e0 netns $exit_
    ip link add e1 netns $exit_ type veth peer name s0 netns $server
    ip -n $client addr add 192.0.2.1/24 dev c0
    ip -n $exit_ addr add 192.0.2.2/24 dev e0
    ip -n $exit_ addr add 203.0.113.1/24 dev e1
    ip -n $server addr add 203.0.113.2/24 dev s0
    local at
    for at in $client:c0 $exit_:e0 $exit_:e1 $server:s0; do
        ip -n "${at%:*}" link set "${at#*:}" up
        # A line card cuts what it sends, and merges what it gets; a veth would pass super-packets whole.
        [ "$1" = veth ] || ip netns exec "${at%:*}" ethtool -K "${at#*:}" tx-udp-segmentation off tso off gso on gro on
    done
    ip netns exec $exit_ sysctl -qw net.ipv4.ip_forward=1
    $own_machine ip netns exec $server iperf3 -s >/dev/null 2>&1 &
    served+=($!)
    $own_machine ip netns exec $server "$bench" serve --at 203.0.113.2:5300 >/dev/null &
    served+=($!)
    sleep 0.3
}

take_apart() {
    local ns pid
    for pid in "${served[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
    served=()
    for ns in $client $exit_ $server; do ip netns del "$ns" 2>/dev/null; done
}

take_down() {
    local pid each
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
    pids=()
    ip netns exec $exit_ nft flush ruleset 2>/dev/null
    for each in "${bare[@]}"; do ip -n $client link del "$each"; done
    [ ${#bare[@]} = 0 ] || ip -n $exit_ route del 10.77.0.0/16 dev e0
    bare=()
    return 0
}

# until_true SECONDS COMMAND…
until_true() {
    local left=$(($1 * 20))
    shift
    until "$@"; do
        sleep 0.05
        [ $((left -= 1)) -gt 0 ] || return 1
    done
}

translation='table ip nat { chain post { type nat hook postrouting priority srcnat; oifname "e1" masquerade; }; }'
translate() { ip netns exec $exit_ nft -f - <<<"$translation"; }

# switch WHAT on|off: payment or policy of the tunnel that is up, under whatever runs through it.
switch() {
    case $1-$2 in
    payment-off) : >"$scratch/free" ;;
    payment-on) rm -f "$scratch/free" ;;
    policy-off) ip netns exec $exit_ nft -f - <<<"flush ruleset; $translation" ;;
    policy-on) { echo 'flush ruleset' && cat "$scratch/policy"; } | ip netns exec $exit_ nft -f - ;;
    esac
}

# start CANDIDATE [GUESTS]: both ends up, and the way to the server through them.
start() {
    local name=$1 many=${2:-1}
    case $name in
    warren | paid) ours "$bench" "$many" '' '' ;;
    unpaid) ours "$bench" "$many" '--words off' '--words off' ;;
    switched) ours "$bench" "$many" "--free $scratch/free" "--free $scratch/free" && ip netns exec $exit_ nft list ruleset >"$scratch/policy" ;;
    far) ours "$bench" "$many" '--delay-ms 100' '' ;;
    bare) without_tunnel "$many" && translate ;;
    far-fixed) ours "$bench" "$many" '--delay-ms 100 --max-credit 8' '' ;;
    *)
        if [ -n "${others[$name]:-}" ]; then
            ours "${others[$name]}" "$many" '' ''
        else
            theirs "${foreign[$name]}" && translate
        fi
        ;;
    esac && until_true 10 ip netns exec $client ping -q -c 1 -W 1 203.0.113.2 >/dev/null
}

# ours BENCH GUESTS EXIT-WORDS CONSUMER-WORDS
ours() {
    local last=$(($2 - 1)) each
    rm -f "$scratch"/{words.*,host.journal}
    : >"$scratch/exit" >"$scratch/consumer"
    # shellcheck disable=SC2086
    $own_machine ip netns exec $exit_ "$1" exit --listen 192.0.2.2:51820 --control 192.0.2.2:4077 --guests "$2" --folder "$scratch" $3 >"$scratch/exit" 2>&1 &
    pids+=($!) far_end=$!
    until_true 10 grep -q ^up "$scratch/exit" || return 1
    # shellcheck disable=SC2086
    $own_machine ip netns exec $client "$1" consumer --exit 192.0.2.2:51820 --words 192.0.2.2:4077 --guests "$2" $4 >"$scratch/consumer" 2>&1 &
    pids+=($!) near=$!
    until_true 90 grep -q ^up "$scratch/consumer" || return 1
    # All lead to the server; the first is the way of what does not choose.
    for each in $(seq 0 $last); do echo "route add 203.0.113.0/24 dev warren$each metric $((each + 1))"; done |
        ip -n $client -batch -
}

# without_tunnel GUESTS: the same addresses on the wire itself, forwarded and translated by the same machine.
without_tunnel() {
    local each near_addr
    near='' far_end=''
    for each in $(seq 0 $(($1 - 1))); do
        near_addr=10.77.$(((each + 2) / 256)).$(((each + 2) % 256))
        bare+=("bare$each")
        echo "link add link c0 name bare$each type macvlan mode bridge"
        echo "addr add $near_addr/32 dev bare$each"
        echo "link set bare$each up"
        echo "route add 203.0.113.0/24 via 192.0.2.2 dev bare$each onlink metric $((each + 1))"
    done >"$scratch/bare"
    ip -n $client -batch "$scratch/bare" && ip -n $exit_ route replace 10.77.0.0/16 dev e0
}

# theirs COMMAND: both ends by the same program, told what to do by wg(8).
theirs() {
    local end ns device
    [ -e "$scratch/near" ] || (umask 077; wg genkey >"$scratch/near"; wg genkey >"$scratch/far")
    for end in near far; do
        ns=$client device=${tag}c
        [ $end = near ] || ns=$exit_ device=${tag}e
        # shellcheck disable=SC2086
        $own_machine ip netns exec $ns env WG_PROCESS_FOREGROUND=1 $1 $device >"$scratch/$end.log" 2>&1 &
        pids+=($!)
        [ $end = near ] && near=$! || far_end=$!
        until_true 10 ip netns exec $ns wg show $device >/dev/null 2>&1 || return 1
    done
    ip netns exec $client wg setconf "${tag}c" <(echo "[Interface]
PrivateKey = $(<"$scratch/near")
[Peer]
PublicKey = $(wg pubkey <"$scratch/far")
AllowedIPs = 0.0.0.0/0
Endpoint = 192.0.2.2:51820") || return 1
    ip netns exec $exit_ wg setconf "${tag}e" <(echo "[Interface]
PrivateKey = $(<"$scratch/far")
ListenPort = 51820
[Peer]
PublicKey = $(wg pubkey <"$scratch/near")
AllowedIPs = 10.77.0.2/32") || return 1
    ip -n $client addr add 10.77.0.2/32 dev "${tag}c"
    ip -n $client link set "${tag}c" mtu 1420 up
    ip -n $exit_ addr add 10.77.0.1/16 dev "${tag}e"
    ip -n $exit_ link set "${tag}e" mtu 1420 up
    ip -n $client route add 203.0.113.0/24 dev "${tag}c"
}

# flow ARGUMENTS…: one run of iperf3 through the tunnel, as JSON.
flow() {
    local cubic=(-C cubic)
    [[ " $* " != *" -u "* ]] || cubic=()
    timeout $((secs + 15)) ip netns exec $client iperf3 -J -c 203.0.113.2 "${cubic[@]}" "$@"
}

# Processor ticks of both ends so far: user and system, what the kernel does for them included.
cpu() { echo "$(ticks "$near") $(ticks "$far_end")"; }
ticks() { [ -z "$1" ] || awk '{ print $14 + $15 }' "/proc/$1/stat"; }
# per_gb BEFORE AFTER GIGABYTES
per_gb() {
    awk -v before="$1" -v after="$2" -v gb="$3" -v hz="$(getconf CLK_TCK)" 'BEGIN {
        split(before, b); split(after, a)
        printf "\"cpu_client\":%.4f,\"cpu_exit\":%.4f", (a[1] - b[1]) / hz / gb, (a[2] - b[2]) / hz / gb
    }'
}

# Processor ticks of everything on this machine that is not part of the measurement, ended children included.
strangers() {
    cat /proc/[0-9]*/stat 2>/dev/null | awk -v ours=" $$ $near $far_end ${served[*]} " '{
        end = match($0, /\)[^)]*$/); name = substr($0, 1, end); split(substr($0, end + 2), f, " ")
        if (f[2] == 2 || name ~ /\((iperf3|ping)\)$/ || index(ours, " " $1 " ") || index(ours, " " f[2] " ")) next
        sum += f[12] + f[13] + f[14] + f[15]
    } END { print sum + 0 }'
}

# by_threads PID: processor ns of all its threads, and of those that carry no packets: they pay and are paid.
by_threads() {
    local task name nanos sum=0 payers=0
    for task in "/proc/$1/task/"*; do
        read -r name <"$task/comm" && read -r nanos _ <"$task/schedstat" || continue
        sum=$((sum + nanos))
        [[ $name == warren-* ]] || payers=$((payers + nanos))
    done
    echo $sum $payers
}

memory() { echo "\"rss_client_kb\":$(rss "$near"),\"rss_exit_kb\":$(rss "$far_end")"; }
rss() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

# Datagrams that came to a socket of the server so far, whether or not it had room.
datagrams() { ip netns exec $server cat /proc/net/snmp | awk '/^Udp: [0-9]/ { print $2 + $4 }'; }

# delay COUNT: median and 99th percentile of so many round trips, 50 a second, in ms.
delay() {
    ip netns exec $client ping -n -i 0.02 -c "$1" -W 1 203.0.113.2 | sed -nE 's/.*time=([0-9.]+) ms/\1/p' | sort -n | awk '
        { t[NR] = $1 }
        END {
            last = int(NR * 0.99 + 0.5)
            if (NR) printf "\"p50\":%s,\"p99\":%s,", t[int((NR + 1) / 2)], t[last]
            printf "\"pings\":%d", NR
        }'
}

# crowd GUESTS FLOWS WAY: every guest moves what it can; what the exit's meters say of it, or, without a tunnel, the devices'.
crowd() {
    local loading before after device=warren
    [ ${#bare[@]} = 0 ] || device=bare
    $own_machine ip netns exec $client "$bench" load --to 203.0.113.2:5300 --device $device --way "$3" --guests "$1" --flows "$2" --secs $((secs * 2 + 4)) >"$scratch/load" 2>&1 &
    loading=$!
    until_true 30 grep -q ^up "$scratch/load" || { kill $loading; return 1; }
    sleep 2 # Until the flows have found their speed.
    local ticks0=$(cpu) time0=$EPOCHREALTIME
    before=$(usage_of_all)
    sleep $((secs * 2))
    after=$(usage_of_all)
    local ticks1=$(cpu) time1=$EPOCHREALTIME
    wait $loading
    awk -v before="$before" -v after="$after" -v secs="$(awk -v a="$time0" -v b="$time1" 'BEGIN { print b - a }')" '
        BEGIN {
            n = split(before, b); split(after, a)
            for (i = 1; i <= n; i++) { d = a[i] - b[i]; sum += d; squares += d * d; if (i == 1 || d < least) least = d }
            printf "\"gbit\":%.4f,\"jain\":%.4f,\"least_share\":%.4f", sum * 8 / secs / 1e9, sum * sum / (n * squares), least * n / sum
        }' >"$scratch/crowd"
    [ ${#bare[@]} = 0 ] || return 0
    echo ",$(per_gb "$ticks0" "$ticks1" "$(awk -v b="$before" -v a="$after" 'BEGIN { n = split(b, x); split(a, y); for (i = 1; i <= n; i++) s += y[i] - x[i]; print s / 1e9 }')")" >>"$scratch/crowd"
}
usage_of_all() {
    if [ ${#bare[@]} = 0 ]; then
        ip netns exec $exit_ "$bench" usage --control 192.0.2.2:4077
    else
        ip -n $client -s -j link show type macvlan | jq -r '[.[] | .stats64 | .rx.bytes + .tx.bytes] | join(" ")'
    fi
}

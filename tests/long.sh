#!/usr/bin/env bash
# The sizes that are too long for every day.
#   tests/long.sh [money|contract|schedules|fuzz|tunnel]…
#
# money      contract, then schedules
# contract   more runs of every fuzzed test of the contract, every property, and every mutant (half an hour)
# schedules  1 000 000 schedules of faults over channels, routes and towers, on all processors (hours: it says how many)
# tunnel     tunnels that outlive their keys, ours and foreign ones (root; ten minutes)
# fuzz       every fuzz target under libFuzzer, one after the other; what they find that is new joins the corpora
#
# What is done stands in target/, and the next start goes on from there; schedules begin anew when the program changed. Sizes:
#   WARREN_SCHEDULES     schedules in all
#   WARREN_FUZZ_SECS     seconds for each target (60)
#   WARREN_FUZZ_TARGETS  names of targets; all by default
set -euo pipefail
exec </dev/null
cd "$(dirname "$0")/.."

export PATH="$PWD/deploy/cxx:$HOME/.cargo/bin:$PATH"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}

contract() {
    tests/install.sh money
    payments/contracts/prove.sh --long
}

schedules() { cargo test --workspace --test sim -- --ignored --exact --nocapture long::a_million_schedules; }

# By the test runner of the toolchain: nextest's own would end what takes four minutes as a hang.
tunnel() {
    [ "$(id -u)" = 0 ] || { echo "long.sh: tunnels need root" >&2; return 1; }
    tests/install.sh build net
    WARREN_BORINGTUN=${WARREN_BORINGTUN:-$(tests/bench/foreign.sh boringtun-cli)}
    export WARREN_BORINGTUN
    cargo test --workspace --test plane_foreign --test plane_changes -- --ignored --nocapture
}

# The stable compiler's own coverage pass, as cargo-fuzz asks for it, and no sanitizer: none of this is unsafe code.
# Fuzzing by `cargo fuzz run --fuzz-dir tests/fuzz NAME` does the same on a nightly one.
sancov="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"

# field NAME LOG: a number of libFuzzer's last words.
field() { sed -nE "s/^stat::$1: +([0-9]+)/\1/p" "$2" | tail -n 1; }

fuzz() {
    local host secs=${WARREN_FUZZ_SECS:-60} names done=target/fuzz/done name facts=
    host=$(rustc -vV | sed -n 's/^host: //p')
    names=${WARREN_FUZZ_TARGETS:-$(cd tests/fuzz/fuzz_targets && ls | sed 's/\.rs$//')}
    mkdir -p target/fuzz target/figures
    touch $done
    RUSTFLAGS="$(echo $sancov)" cargo build --manifest-path tests/fuzz/Cargo.toml --target "$host" --target-dir "$CARGO_TARGET_DIR/fuzz" --bins
    for name in $names; do
        # A line for each target that is done in this round: a start after an end goes on behind it.
        if ! grep -q "^$name " $done; then
            fuzz_one "$CARGO_TARGET_DIR/fuzz/$host/debug/$name" "$name" "$secs"
        fi
    done
    while read -r name runs spent kept; do
        facts+="${facts:+,}\"fuzz_${name}_runs\":{\"value\":$runs,\"unit\":\"runs\",\"n\":1,\"how\":\"tests/long.sh fuzz\"}"
        echo "fuzz $name: $runs runs in $spent s, $kept inputs"
    done <$done
    echo "{\"schema\":\"warren.figures/v1\",\"figures\":{$facts}}" >target/figures/fuzz.json
    rm $done
}

fuzz_one() {
    local program=$1 name=$2 secs=$3 found=target/fuzz/$2 corpus=tests/fuzz/corpus/$2 log=target/fuzz/$2.log runs before
    mkdir -p "$found" "$corpus"
    echo "== fuzz $name, $secs s"
    if ! "$program" "$found" "$corpus" -max_total_time="$secs" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="target/fuzz/$name-" >"$log" 2>&1; then
        tail -n 40 "$log"
        echo "long.sh: $name found something: put the input into $corpus, mend it, and start again" >&2
        return 1
    fi
    runs=$(field number_of_executed_units "$log")
    # The fewest inputs that reach everything, however often: those of the corpus first, then what is new.
    before=$(ls "$corpus" | wc -l)
    "$program" -use_counters=0 -set_cover_merge=1 "$corpus" "$found" >>"$log" 2>&1
    rm -rf "$found"
    echo "   $runs runs, $before inputs before, $(ls "$corpus" | wc -l) now"
    echo "$name $runs $secs $(ls "$corpus" | wc -l)" >>target/fuzz/done
}

for suite in "${@:-money}"; do
    case $suite in
    money)
        contract
        schedules
        ;;
    contract | schedules | fuzz | tunnel) $suite ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "long.sh: no such suite: $suite" >&2; exit 2 ;;
    esac
done

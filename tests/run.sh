#!/usr/bin/env bash
# Runs the tests; installs what they need.
#   tests/run.sh [SUITE…]     unit stories chain money net docker; all (the default) is every one of them
#
# unit     formatting, lints, documents, and every test that needs nothing but this machine's CPU
# stories  whole sessions in the deterministic world
# chain    the contract, rebuilt and compared, and a foreign chain (anvil)
# money    the contract fuzzed, proved and scanned (payments/contracts/prove.sh)
# net      real TUN devices, NAT and firewalls in network namespaces (root)
# docker   the compose demo on a real engine (root)
#
# The last line is the total. Exit code 0 means nothing failed; what was skipped is listed.
# Build output goes to CARGO_TARGET_DIR, by default ~/.cache/warren/target; logs to target/run.
set -uo pipefail
exec </dev/null
cd "$(dirname "$0")/.."

export PATH="$PWD/deploy/cxx:$HOME/.cargo/bin:$PATH:/usr/sbin:/sbin"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/warren/target}
# What would make a second build of our own crates faster makes the first one slower and far larger.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
export NEXTEST_PROFILE=${NEXTEST_PROFILE:-ci}
if [ ! -t 1 ]; then export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never NEXTEST_HIDE_PROGRESS_BAR=1; fi

known=(unit stories chain money net docker)
suites=()
for suite in "${@:-all}"; do
    case $suite in
    all) suites+=("${known[@]}") ;;
    unit | stories | chain | money | net | docker) suites+=("$suite") ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' "$0" | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "run.sh: no such suite: $suite (known: ${known[*]} all)" >&2; exit 2 ;;
    esac
done

logs=target/run
mkdir -p "$logs" target/figures
rm -f "$logs"/*.log "$logs"/*.found
passed=0 failed=0
broken=() flaky=() skipped=() timings=()

# check NAME COMMAND…: a step that is not a test; it counts only when it fails.
check() {
    local name=$1 log=$logs/$1.log begun=$SECONDS
    shift
    echo "== $name: $*"
    if "$@" >"$log" 2>&1; then
        echo "   ok in $((SECONDS - begun)) s"
    else
        failed=$((failed + 1))
        broken+=("$name")
        tail -n 60 "$log"
        echo "   FAILED in $((SECONDS - begun)) s; all of it in $log"
    fi
}

# count NAME STATUS PASSED FAILED: adds a runner's numbers; a runner that broke without naming a test counts as one.
count() {
    passed=$((passed + $3))
    failed=$((failed + $4))
    if [ "$2" != 0 ]; then
        broken+=("$1")
        [ "$4" != 0 ] || failed=$((failed + 1))
    fi
}

# tests NAME FILTER: runs the tests of the workspace that the nextest filter selects.
tests() {
    local name=$1 log=$logs/$1.log status ran ok bad
    echo "== $name: cargo nextest run --workspace -E '$2'"
    rm -f target/nextest/ci/junit.xml
    # What was built is named, so that no cargo waits for the one that checks meanwhile.
    cargo nextest run --binaries-metadata "$logs/binaries.json" --cargo-metadata "$logs/workspace.json" --no-tests pass -E "$2" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    ran=$(grep -aE 'Summary \[' "$log" | tail -n 1)
    ok=$(sed -nE 's/.* ([0-9]+) passed.*/\1/p' <<<"$ran")
    bad=$(grep -oE '[0-9]+ (failed|timed out|exec failed)' <<<"$ran" | awk '{ n += $1 } END { print n + 0 }')
    count "$name" "$status" "${ok:-0}" "${bad:-0}"
    while read -r line; do flaky+=("$line"); done < <(sed -nE 's/^ *FLAKY [^]]*\] *(\([^)]*\) *)?//p' "$log" | sort -u)
    # A test that cannot run here prints `SKIPPED: why`; the report keeps what passing tests printed.
    if [ -f target/nextest/ci/junit.xml ]; then
        while read -r line; do skipped+=("$line"); done < <(
            grep -aoE '(^|>)[[:space:]]*SKIPPED[: ].*' target/nextest/ci/junit.xml |
                sed -E 's/^>?[[:space:]]*SKIPPED:? *//; s/<.*//' | sort | uniq -c | sed -E 's/^ *([0-9]+) /\1 × /'
        )
    fi
}

# build: every test and program, and where they lie.
build() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    # What other platforms would need was not fetched by a build here.
    cargo nextest list --workspace --list-type binaries-only --message-format json >"$logs/binaries.json" &&
        cargo metadata --format-version 1 --offline --filter-platform "$host" >"$logs/workspace.json"
}

doc_tests() {
    local log=$logs/doctests.log status
    echo "== doctests: cargo test --workspace --doc"
    cargo test --workspace --doc >"$log" 2>&1
    status=$?
    [ $status = 0 ] || grep -vE '^(   Compiling|   Doc-tests)' "$log" | tail -n 60
    local ok bad
    ok=$(sed -nE 's/^test result: .* ([0-9]+) passed; .*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
    bad=$(sed -nE 's/^test result: .* ([0-9]+) failed; .*/\1/p' "$log" | awk '{ n += $1 } END { print n + 0 }')
    echo "   $ok passed, $bad failed"
    count doctests $status "$ok" "$bad"
}

# binaries PATTERN: a nextest filter for the test binaries of that name; nextest takes no unknown name.
binaries() {
    cargo metadata --format-version 1 --no-deps --offline | grep -oE '"kind":\["test"\],"crate_types":\["bin"\],"name":"[^"]*"' |
        sed 's/.*"name":"//; s/"$//' | grep -E "$1" | sort -u |
        awk '{ printf "%sbinary(=%s)", (NR > 1 ? " | " : ""), $0 } END { if (!NR) printf "none()" }'
}
net=$(binaries netns) chain=$(binaries 'chain|contract|anvil') stories=$(binaries 'stories|story')

# scripts: every shell script of the house, wherever it lies.
scripts() { sources '*.sh'; echo .ci/run; }

# sources PATTERN: files of the house of that name; there need not be a repository.
sources() { find . \( -name target -o -name node_modules -o -name .git \) -prune -o -type f -name "$1" -print; }

# ignored: the tests that no suite here runs, and what does; `cargo tidy` sees that the reason says it.
ignored() {
    sources '*.rs' | grep -v '^./tests/tidy/' | xargs awk '
        /#\[ignore = ".*tests\/long\.sh/ { why = $0; sub(/.*ignore = "/, "", why); sub(/"\].*/, "", why) }
        why != "" && /fn / { name = $0; sub(/.*fn /, "", name); sub(/\(.*/, "", name); print name ": " why; why = "" }'
}

checks() {
    check fmt cargo fmt --all --check
    while read -r script; do bash -n "$script" || broken+=("$script"); done < <(scripts)
    doc_tests
    check clippy cargo clippy --workspace --all-targets -- -D warnings
    # By the compiler that `cargo clippy` names to cargo, and its arguments: so what has just been found out of our own
    # crates is not found out again. A clippy that names another one costs two minutes, and nothing else.
    RUSTDOCFLAGS=-Dwarnings CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__ \
        RUSTC_WORKSPACE_WRAPPER=$(rustc --print sysroot)/bin/clippy-driver check rustdoc cargo doc --workspace --no-deps
    if command -v cargo-deny >/dev/null; then
        check deny cargo deny --offline check bans licenses sources
    else
        skipped+=("deny.toml is not checked: cargo-deny is not installed (cargo tidy checks the homes)")
    fi
    checked=1
}

# script NAME COMMAND…: a runner of its own that prints `ok`, `not ok` and `skipped:` lines.
script() {
    local name=$1 log=$logs/$1.log
    shift
    echo "== $name: $*"
    "$@" 2>&1 | tee "$log"
    judge "$name" "${PIPESTATUS[0]}"
}

# judge NAME STATUS: counts what such a runner has written into its log.
judge() {
    local name=$1 log=$logs/$1.log status=$2
    count "$name" "$status" "$(grep -c '^ok ' "$log")" "$(grep -c '^not ok ' "$log")"
    while read -r line; do skipped+=("$name: $line"); done < <(sed -n 's/^skipped: //p' "$log")
    while read -r line; do broken+=("$name: $line"); done < <(sed -n 's/^not ok //p' "$log")
}

# ready SUITE PART…: everything the suite needs is installed, or the suite has failed.
ready() {
    local suite=$1
    shift
    tests/install.sh "$@" && return 0
    broken+=("$suite: set-up")
    failed=$((failed + 1))
    return 1
}

root_for() {
    [ "$(id -u)" = 0 ] && return 0
    skipped+=("suite $1: needs root")
    return 1
}

# timed NAME COMMAND…: how long it took is told at the end.
timed() {
    local name=$1 begun=$SECONDS
    shift
    "$@"
    timings+=("$name $((SECONDS - begun))")
}

# One run of nextest serves all its suites: while a test of the network waits for packets, others compute.
# So do containers and the checks, which run beside it and take what it leaves.
filters=() named=() others=() docker= checks=
for suite in "${suites[@]}"; do
    case $suite in
    unit) ready unit build test && filters+=("not ($net | $chain | $stories)") && named+=(unit) && checks=wanted ;;
    stories) ready stories build test && filters+=("$stories") && named+=(stories) ;;
    chain) ready chain build test chain && filters+=("$chain") && named+=(chain) ;;
    money) ready money money && others+=("script money payments/contracts/prove.sh") ;;
    net) root_for net && ready net build test net chain && filters+=("$net") && named+=(net) ;;
    docker) root_for docker && ready docker build docker && docker=wanted ;;
    esac
done
beside() {
    echo "== docker: bash tests/docker.sh, beside what follows"
    # They take what the tests leave: some of those wait for packets that come in time.
    nice -n 19 bash tests/docker.sh >"$logs/docker.log" 2>&1 &
    docker=$!
    trap 'kill "$docker" 2>/dev/null; wait "$docker"; exit 130' INT TERM
}
join() {
    local status
    wait "$docker"
    status=$?
    trap - INT TERM
    echo "== docker: what it said"
    cat "$logs/docker.log"
    judge docker $status
}
# Formats, lints and documents, beside the tests; `joined` brings in what they found.
check_beside() {
    echo "== checks: beside the tests; what they say comes after them"
    (
        renice -n 19 "$BASHPID" >/dev/null
        passed=0 failed=0 broken=() skipped=() begun=$SECONDS checked=
        checks >"$logs/checks.log" 2>&1
        printf '%s\n' "passed $passed" "failed $failed" "took $((SECONDS - begun))" "${broken[@]/#/broken }" "${skipped[@]/#/skipped }" "${checked:+ended}" >"$logs/checks.found"
    ) &
    checks=$!
}
joined() {
    local kind rest ended=
    wait "$checks"
    cat "$logs/checks.log"
    while read -r kind rest; do
        case $kind in
        passed) passed=$((passed + rest)) ;;
        failed) failed=$((failed + rest)) ;;
        broken) [ -z "$rest" ] || broken+=("$rest") ;;
        skipped) [ -z "$rest" ] || skipped+=("$rest") ;;
        took) timings+=("checks $rest") ;;
        ended) ended=1 ;;
        esac
    done < <(cat "$logs/checks.found")
    # Killed, or without room for their words: what they found is not known.
    [ -n "$ended" ] || { failed=$((failed + 1)); broken+=("checks: they did not come to their end"); }
}
# It needs the build, and has one of its own where no other suite made it.
if [ -n "$docker" ] && [ ${#filters[@]} = 0 ]; then beside; fi
if [ ${#filters[@]} -gt 0 ]; then
    # The build has a line of its own, so that what it costs is seen.
    timed build check build build
    [ -z "$docker" ] || beside
    [ -z "$checks" ] || check_beside
    filter=$(printf ' | (%s)' "${filters[@]}")
    timed "$(IFS=+; echo "${named[*]}")" tests tests "${filter# | }"
    while read -r line; do skipped+=("$line"); done < <(ignored)
fi
[ -z "$checks" ] || joined
for other in "${others[@]}"; do
    read -ra words <<<"$other"
    name=${words[0]}
    [ "$name" != script ] || name=${words[1]}
    timed "$name" "${words[@]}"
done
[ -z "$docker" ] || timed "docker's rest" join

echo
echo "== total"
for line in "${skipped[@]}"; do echo "skipped: $line"; done
for line in "${flaky[@]}"; do echo "flaky:   $line failed, and passed when tried again: a fault to mend"; done
for line in "${broken[@]}"; do echo "failed:  $line"; done
figures=
for line in "${timings[@]}"; do
    name=${line% *} seconds=${line##* }
    echo "time:    $name $seconds s"
    figures+="\"${name//[^a-z]/_}_s\":{\"value\":$seconds,\"unit\":\"s\",\"n\":1,\"how\":\"tests/run.sh $name\"},"
done
figures+="\"passed\":{\"value\":$passed,\"unit\":\"tests\",\"n\":1,\"how\":\"tests/run.sh ${suites[*]}\"}"
echo "{\"schema\":\"warren.figures/v1\",\"figures\":{$figures}}" >target/figures/run.json
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ ${#broken[@]} = 0 ]

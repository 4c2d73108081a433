#!/usr/bin/env bash
# Fuzzes, proves, scans and mutates the payment contract; installs what that needs, once.
#   prove.sh [--long] [forge] [halmos] [slither] [mutants]
#
# forge     unit and fuzz tests, and invariants over random calls, on the committed bytes
# halmos    properties proved for every input and every state
# slither   a scan; what it finds of high or medium impact is explained in proofs/slither.json
# mutants   one change at a time: do the tests notice?
#
# Without parts: forge halmos slither, the sizes for every day. --long: more runs, and the mutants.
# Prints `ok`, `not ok` and `skipped:` lines and a table; figures go to target/figures/contract.json.
# The tools come from npm and PyPI, pinned, into proofs/node_modules and ~/.cache/warren.
set -uo pipefail
exec </dev/null
cd "$(dirname "$0")/proofs"

long=
parts=()
for word in "$@"; do
    case $word in
    --long) long=1 ;;
    forge | halmos | slither | mutants) parts+=("$word") ;;
    -h | --help) sed -n '2,/^set /{/^#/p}' ../prove.sh | sed 's/^# \{0,1\}//'; exit 0 ;;
    *) echo "prove.sh: no such part: $word" >&2; exit 2 ;;
    esac
done
if [ ${#parts[@]} = 0 ]; then
    parts=(forge halmos slither)
    [ -z "$long" ] || parts+=(mutants)
fi

root=$(cd ../../.. && pwd)
figures=$root/target/figures
logs=$root/target/run
mkdir -p "$figures" "$logs" out
venv=${XDG_CACHE_HOME:-$HOME/.cache}/warren/proofs-$(sha256sum requirements.txt | cut -c1-12)
lines=() facts=() failed=0

row() { lines+=("$(printf '%-9s %-46s %s' "$1" "$2" "$3")"); }
fact() { facts+=("\"$1\":{\"value\":$2,\"unit\":\"$3\",\"n\":$4,\"how\":\"payments/contracts/prove.sh${long:+ --long} $5\"}"); }
fail() {
    echo "not ok $1"
    failed=$((failed + 1))
}

# patiently SECONDS WHAT COMMAND…: an installation: at most so long, its words in a log, a sign of life every 15 s.
patiently() {
    local limit=$1 what=$2 log=$logs/contract-install.log begun=$SECONDS seconds=0 job status last
    shift 2
    echo "install: $what"
    timeout --kill-after 10 "$limit" "$@" >"$log" 2>&1 &
    job=$!
    trap "kill $job 2>/dev/null; exit 130" INT TERM
    while kill -0 $job 2>/dev/null; do
        sleep 1
        seconds=$((seconds + 1))
        last=$(tail -n 1 "$log" | cut -c1-90)
        [ $((seconds % 15)) != 0 ] || echo "install: … $((SECONDS - begun)) s: ${last:-nothing said yet}"
    done
    wait $job
    status=$?
    trap - INT TERM
    [ $status != 0 ] || { echo "install: done in $((SECONDS - begun)) s"; return 0; }
    tail -n 20 "$log"
    [ $status != 124 ] || echo "install: ended after $limit s, the most it may take"
    return 1
}

# npm_in FOLDER: what its lock file names. Where a registry lacks builds for other systems, `npm ci` takes
# the lock for incomplete; `npm install` then installs what the lock names, by the same hashes.
npm_in() {
    cmp -s "$1/package-lock.json" "$1/node_modules/.installed" && return 0
    patiently 600 "what npm's lock names, in $(realpath "$1")" bash -c "cd '$1' && { npm ci --silent || npm install --no-save; }" &&
        cp "$1/package-lock.json" "$1/node_modules/.installed"
}

# halmos and slither, in a shell of its own, for the lock. requirements.txt names all they need, so nothing is resolved,
# and nothing built: a compiler may be missing. What was cut short begins anew; pip's cache keeps what had arrived.
python_tools() (
    [ ! -e "$venv/.installed" ] || return 0
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    flock 9
    [ ! -e "$venv/.installed" ] || return 0 # Another run has made it meanwhile.
    for try in 1 2 3; do
        patiently 300 "an environment of Python, $venv" python3 -m venv --clear "$venv" &&
            patiently 600 "halmos and slither, try $try of 3" "$venv/bin/pip" install --disable-pip-version-check --progress-bar off \
                --timeout 30 --retries 2 --no-deps --only-binary :all: --requirement requirements.txt &&
            "$venv/bin/pip" check && "$venv/bin/halmos" --version && "$venv/bin/slither" --version &&
            touch "$venv/.installed" && return 0
    done
    return 1
)

tool() { command -v "$1" >/dev/null 2>&1; }
tool node && tool npm || { echo "skipped: prove.sh: node and npm are needed"; exit 0; }
if ! npm_in .. || ! npm_in .; then
    fail "npm could not install the tools"
    exit 1
fi
# The platform's binary itself: the package's wrapper ends with 0 whatever forge ended with.
forge=$(echo "$PWD"/node_modules/@foundry-rs/forge-*/bin/forge)
export PATH=$(dirname "$forge"):$PATH NO_COLOR=1

run_forge() {
    local log=$logs/contract-forge.log runs=256 sequences=32 depth=60 status passed bad calls refused
    [ -z "$long" ] || runs=5000 sequences=256 depth=200
    rm -f out/shares
    FOUNDRY_FUZZ_RUNS=$runs FOUNDRY_INVARIANT_RUNS=$sequences FOUNDRY_INVARIANT_DEPTH=$depth forge test >"$log" 2>&1
    status=$?
    sed -nE 's/^\[PASS\] (\w+).*/ok forge \1/p; s/^\[FAIL(.*)\] (\w+).*/not ok forge \2 \1/p' "$log" | sort -u
    passed=$(grep -c '^\[PASS\]' "$log")
    bad=$(grep '^\[FAIL' "$log" | sort -u | wc -l)
    failed=$((failed + bad))
    if [ $status != 0 ] && [ "$bad" = 0 ]; then
        tail -n 30 "$log"
        fail "forge ended with $status"
    fi
    read -r calls refused < <(awk '{ c += $1; r += $2 } END { print c + 0, r + 0 }' out/shares)
    [ "$calls" -gt 0 ] || { fail "no invariant was tried"; calls=1; }
    row forge "tests passed" "$passed, fuzzed $runs times each"
    row forge "invariants" "$(grep -c '^\[PASS\] invariant_' "$log") over $calls calls, $((100 * refused / calls)) % refused (at most 50 % in any run)"
    fact forge_tests "$passed" tests "$runs" forge
    fact invariant_calls "$calls" calls "$sequences" forge
    fact invariant_refused_percent "$((100 * refused / calls))" % "$calls" forge
}

run_halmos() {
    local log=$logs/contract-halmos.log status proved bad
    tool python3 && python_tools || { echo "skipped: halmos: no python3 with venv, or PyPI did not answer"; return; }
    FOUNDRY_PROFILE=symbolic forge build >"$log" 2>&1 || { tail -n 30 "$log"; fail "the properties do not compile"; return; }
    # Each property as it is decided: all of them take minutes.
    FOUNDRY_PROFILE=symbolic timeout 1800 "$venv/bin/halmos" --forge-build-out out-symbolic --function check_ --loop 4 \
        --solver-timeout-assertion 120s --no-status 2>&1 | sed -u 's/\x1b\[[0-9;]*m//g' | tee -a "$log" | sed -unE \
        's/^\[PASS\] (\w+).*time: ([0-9.]+s).*/ok halmos \1 (\2)/p; s/^\[(FAIL|ERROR|TIMEOUT)\] (\w+).*/not ok halmos \2 \1/p'
    status=${PIPESTATUS[0]}
    [ $status != 124 ] || echo "halmos: ended after 1800 s, the most it may take"
    proved=$(grep -c '^\[PASS\]' "$log")
    bad=$(grep -cE '^\[(FAIL|ERROR|TIMEOUT)\]' "$log")
    failed=$((failed + bad))
    [ $status = 0 ] || [ "$bad" != 0 ] || { tail -n 30 "$log"; fail "halmos ended with $status"; }
    grep -q 'not been fully explored' "$log" && fail "a loop went beyond what halmos was told to follow"
    [ "$proved" -ge 8 ] || fail "only $proved properties were proved"
    row halmos "properties proved" "$proved of $((proved + bad))"
    fact halmos_properties "$proved" properties "$((proved + bad))" halmos
}

run_slither() {
    tool python3 && python_tools || { echo "skipped: slither: no python3 with venv, or PyPI did not answer"; return; }
    node slither.mjs "$venv/bin/slither" out/slither.json | tee "$logs/contract-slither.log"
    [ "${PIPESTATUS[0]}" = 0 ] || failed=$((failed + 1))
    local open
    open=$(sed -nE 's/.*; ([0-9]+) high or medium unexplained/\1/p' "$logs/contract-slither.log")
    row slither "findings" "$(sed -n 's/^slither: //p' "$logs/contract-slither.log")"
    fact slither_unexplained "${open:-null}" findings 1 slither
}

run_mutants() {
    forge build >"$logs/contract-mutants.log" 2>&1
    node mutants.mjs --out out/mutants.json | tee -a "$logs/contract-mutants.log"
    if [ "${PIPESTATUS[0]}" = 0 ]; then echo "ok mutants"; else fail "mutants: fewer than 90 % killed, or a survivor without a reason"; fi
    local killed tried
    read -r killed tried < <(sed -nE 's/^mutants: ([0-9]+) of ([0-9]+) killed.*/\1 \2/p' "$logs/contract-mutants.log" | tail -n 1)
    row mutants "killed" "${killed:-0} of ${tried:-0}"
    fact mutants_killed "${killed:-0}" mutants "${tried:-0}" mutants
}

for part in "${parts[@]}"; do
    begun=$SECONDS
    echo "== $part"
    "run_$part"
    row "$part" time "$((SECONDS - begun)) s"
done

echo
echo "== the payment contract"
printf '%s\n' "${lines[@]}"
# Beside what other parts have found before.
IFS=,
node -e '
    const fs = require("node:fs"), [file, facts] = process.argv.slice(1);
    const before = fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")).figures : {};
    fs.writeFileSync(file, JSON.stringify({ schema: "warren.figures/v1", figures: { ...before, ...JSON.parse(facts) } }) + "\n");
' "$figures/contract.json" "{${facts[*]}}"
[ "$failed" = 0 ]

#!/usr/bin/env bash
# Puts the transcript of a real demo run into README.md, between its two marks.
#   deploy/readme.sh TRANSCRIPT      the file that the output of deploy/demo.sh went to
set -euo pipefail

cd "$(dirname "$0")/.."
transcript=${1:?usage: deploy/readme.sh TRANSCRIPT}
[ -s "$transcript" ] || { echo "readme.sh: $transcript is empty" >&2; exit 1; }
for mark in begin end; do
    grep -q "^<!-- demo:$mark -->\$" README.md || { echo "readme.sh: README.md lost its mark demo:$mark" >&2; exit 1; }
done

fresh=$(mktemp)
trap 'rm -f "$fresh"' EXIT
# Terminal colours and carriage returns are for people in front of it, not for a document.
plain() { sed -e 's/\x1b\[[0-9;?]*[a-zA-Z]//g' -e 's/.*\r//' -e 's/[[:space:]]*$//' "$1"; }
{
    sed '/^<!-- demo:begin -->$/q' README.md
    echo '```text'
    plain "$transcript"
    echo '```'
    sed -n '/^<!-- demo:end -->$/,$p' README.md
} >"$fresh"
cat "$fresh" >README.md
echo "readme.sh: README.md now shows $(plain "$transcript" | wc -l) lines of $transcript"

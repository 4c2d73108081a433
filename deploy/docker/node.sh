#!/bin/sh
# Runs one node in a container. Makes the wallet's passphrase and the wallet on the first start; what is there stays.
# In deploy/compose.demo.yml it also introduces nodes to each other, since a node knows no one until it is told:
#   MEETS=ADDRESS   this is the bootstrap node; it writes where it is met to the shared volume
#   JOINS=yes       waits for that, and begins there
#   LENDS=yes       becomes an exit at once: consents for the demo's owner
set -eu

# Of a file that is not there, an engine mounts a folder.
config=${WARREN_CONFIG:-}
if [ -d "$config" ]; then
    echo "node.sh: $config is a folder: the file that is mounted there does not exist on the host. Remove the folder that the engine" \
        "made of it there, put the file in its place (cp -n deploy/config/exit.toml deploy/exit.toml), and start again" >&2
    exit 1
fi

home=${WARREN_HOME:-/var/lib/warren}
# A start may be cut short between the two, so each is looked for by itself; one that is there is kept.
wallet=${WARREN_WALLET__FILE:-$home/wallet.age}
passphrase=${WARREN_WALLET__PASSPHRASE_FILE:-$home/passphrase}
if [ -z "${MEETS:-}" ] && [ ! -s "$passphrase" ]; then
    if [ -e "$wallet" ]; then
        # Another passphrase would not open it, and would hide that the right one is missing.
        echo "node.sh: $wallet is there and its passphrase, $passphrase, is not: put it back, or restore the wallet" \
            "from its twelve words elsewhere (warren wallet restore)" >&2
        exit 1
    fi
    (umask 077 && head -c 24 /dev/urandom | base64 >"$passphrase.new")
    mv "$passphrase.new" "$passphrase"
fi
if [ -z "${MEETS:-}" ] && [ ! -e "$wallet" ]; then
    if warren wallet new --json --quiet >/dev/null; then
        echo "node.sh: made a wallet; keep a copy of its words: warren wallet backup"
    else
        [ $? -eq 9 ] # It is where the configuration says.
    fi
fi
if [ -n "${JOINS:-}" ]; then
    WARREN_OVERLAY__BOOTSTRAP=$(cat /run/meeting/bootstrap)
    export WARREN_OVERLAY__BOOTSTRAP
fi
warren daemon &
daemon=$!
trap 'kill -TERM $daemon 2>/dev/null; wait $daemon; exit' TERM INT

# Only an introduction needs the daemon's answer. A plain exit may take its time, over a large store say: the
# health check tells of it, and ending it here would only make it begin anew.
if [ -n "${MEETS:-}${LENDS:-}" ]; then
    tries=0
    until status=$(warren status --json 2>/dev/null); do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "node.sh: the daemon does not answer" >&2; kill -TERM $daemon; wait $daemon; exit 1; }
        kill -0 $daemon || exit 1
        sleep 0.2
    done
fi

if [ -n "${MEETS:-}" ]; then
    peer=$(echo "$status" | tr -d '\n' | grep -oE '/p2p/[A-Za-z0-9]+' | head -n 1)
    echo "/ip4/$MEETS/udp/4077/quic-v1$peer" >/run/meeting/bootstrap.new
    mv /run/meeting/bootstrap.new /run/meeting/bootstrap
fi
if [ -n "${LENDS:-}" ]; then
    warren fund --faucet 1 --json
    warren exit enable --yes-i-consent "$(hostname)" --json
fi
wait $daemon

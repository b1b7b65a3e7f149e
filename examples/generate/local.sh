#!/bin/sh
# A real dataset on this machine: llama.cpp serves SmolLM2-135M-Instruct on one thread, passloop makes 40 rows with it.
# Nothing waits for the server: until it listens its endpoint cools, and is probed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
passloop=${PASSLOOP:-passloop}
python=${PYTHON:-python3}
folder=$(mktemp -d)
cd "$folder"

"$python" -m passloop.apps.tune.engines.llamacpp --port 18081 --threads 1 --parallel 4 > server.log 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || cat server.log; wait "$server" || true; rm -rf "$folder"' EXIT

"$passloop" plan "$here/local.yaml"
"$passloop" generate "$here/local.yaml"
"$passloop" export letters -o letters.jsonl
head -n 5 letters.jsonl
"$passloop" generate "$here/local.yaml" --row 0

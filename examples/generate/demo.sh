#!/bin/sh
# A dataset from an endpoint with faults: made, made again (nothing is asked twice), and shown.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
passloop=${PASSLOOP:-passloop}
python=${PYTHON:-python3}
folder=$(mktemp -d)
cd "$folder"

mkfifo ready
"$python" -m passloop.testing.endpoint --port 18080 --script "$here/faults.json" --log bills.jsonl > ready &
endpoint=$!
trap 'kill "$endpoint"; wait "$endpoint" || true; rm -rf "$folder"' EXIT
read -r _ < ready

"$passloop" plan "$here/tickets.yaml"
"$passloop" generate "$here/tickets.yaml"
asked=$(wc -l < bills.jsonl)
"$passloop" generate "$here/tickets.yaml"
echo "the second run asked for $(($(wc -l < bills.jsonl) - asked)) answers"
"$passloop" generate "$here/tickets.yaml" --row 1
"$passloop" export tickets -o tickets.jsonl
head -n 2 tickets.jsonl

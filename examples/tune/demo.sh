#!/bin/sh
# The best way to serve SmolLM2 with llama.cpp on this machine, two trials at once; `make example-tune` calls this.
# The same again runs only what is missing or failed.
set -eu

passloop="${PASSLOOP:-passloop}"
PASSLOOP_HOME="${PASSLOOP_HOME:-.demo}"
export PASSLOOP_HOME
study="$(dirname "$0")/smollm2-llamacpp.yaml"

"$passloop" plan "$study" | head -n 3
"$passloop" tune "$study"
"$passloop" report smollm2-on-llamacpp --out tune-smollm2.html >/dev/null
echo "Judge the trials by another limit without a server: PASSLOOP_HOME=$PASSLOOP_HOME $passloop tune rescore smollm2-on-llamacpp --slo OTHER.yaml"

#!/bin/sh
# The best way to serve SmolLM2 with llama.cpp on this machine, two trials at once; `make example-tune` calls this.
# The same again runs only what is missing or failed.
set -eu

passloop="${PASSLOOP:-passloop}"
PASSLOOP_HOME="${PASSLOOP_HOME:-.demo}"
export PASSLOOP_HOME
study="$(dirname "$0")/smollm2-llamacpp.yaml"
page="$PASSLOOP_HOME/smollm2-on-llamacpp.html"

"$passloop" tune "$study"
"$passloop" report smollm2-on-llamacpp --out "$page" > /dev/null
echo "Run this again: nothing is left to run. Look closer: PASSLOOP_HOME=$PASSLOOP_HOME $passloop ls @smollm2-on-llamacpp"

#!/bin/sh
# The best way to serve SmolLM2 with llama.cpp on this machine, two trials at once; `make example-tune` calls this.
# The same again runs only what is missing or failed. The limits of the spec are for a machine that does little else.
set -eu

passloop="${PASSLOOP:-passloop}"
PASSLOOP_HOME="${PASSLOOP_HOME:-.demo}"
export PASSLOOP_HOME
study="$(dirname "$0")/smollm2-llamacpp.yaml"
page="$PASSLOOP_HOME/smollm2-on-llamacpp.html"

code=0
"$passloop" tune "$study" || code=$?
"$passloop" report smollm2-on-llamacpp --out "$page" > /dev/null
echo "Run this again: nothing is left to run. Look closer: PASSLOOP_HOME=$PASSLOOP_HOME $passloop ls @smollm2-on-llamacpp"
exit "$code"

#!/bin/sh
# A small real matrix on this machine: SmolLM2, dense and under six methods; `make demo` calls this.
# The same again runs only what is missing or failed. The first run converts the model once (half a minute).
set -eu

passloop="${PASSLOOP:-passloop}"
PASSLOOP_HOME="${PASSLOOP_HOME:-.demo}"
export PASSLOOP_HOME
case "$PASSLOOP_HOME" in /*) home="$PASSLOOP_HOME" ;; *) home="$PWD/$PASSLOOP_HOME" ;; esac
HF_DATASETS_CACHE="${HF_DATASETS_CACHE:-$home/datasets}" # so that nothing is left outside the home
export HF_DATASETS_CACHE
matrix="$(dirname "$0")/bench.yaml"

"$passloop" plan "$matrix" | head -n 1
"$passloop" bench "$matrix"
echo "Run this again: nothing is left to run. Look closer: PASSLOOP_HOME=$PASSLOOP_HOME $passloop bench verify niah-on-smollm2"

#!/bin/sh
# A real sweep on this machine's CPUs, by the foreground engine, in a home of its own; `make demo` calls this.
# The same again runs only what is missing or failed.
set -eu

passloop="${PASSLOOP:-passloop}"
PASSLOOP_HOME="${PASSLOOP_HOME:-.demo}"
export PASSLOOP_HOME
sweep="$(dirname "$0")/sweep.yaml"
page="$PASSLOOP_HOME/digits.html"

"$passloop" plan "$sweep" | head -n 1
code=0
"$passloop" run "$sweep" || code=$?
case $code in
  0 | 1) ;; # 1: some of it failed, and two cells are meant to
  *) exit "$code" ;;
esac
echo
"$passloop" report digits --out "$page"
echo "Two cells fail on purpose: a forest of -1 trees, and one of a million. Run this again: only they run again."
echo "Look closer: PASSLOOP_HOME=$PASSLOOP_HOME $passloop ls"

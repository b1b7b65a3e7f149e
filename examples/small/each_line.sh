#!/bin/sh
# One task per line of a file; a line is one word, whatever stands in it.
. "$(dirname "$0")/common.sh"

printf '%s\n' 'a plain line' '$HOME stays as it is' '"quotes" and * too' >"$PASSLOOP_HOME.lines"
passloop submit --name lines --each-line "$PASSLOOP_HOME.lines" -- echo 'the line is: {line}'
passloop wait @lines
for task in 1 2 3; do passloop logs "$task"; done

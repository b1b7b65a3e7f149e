#!/bin/sh
# Prepare, then train, then clean up whatever happened. Training fails here, so what needs its success is aborted.
. "$(dirname "$0")/common.sh"

prepare=$(passloop submit --name prepare -- sleep 0.2)
train=$(passloop submit --name train --after "$prepare" -- sh -c 'echo "no data" >&2; exit 3')
evaluate=$(passloop submit --name evaluate --after "$train" -- echo evaluated)
tidy=$(passloop submit --name tidy --after-any "$train" -- echo tidied)
passloop wait "$prepare" "$train" "$evaluate" "$tidy" || echo "some of it failed, as expected"
passloop ls
passloop why "$evaluate"

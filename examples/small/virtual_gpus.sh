#!/bin/sh
# Four GPUs that exist on paper: shares, whole ones, and a task that waits and says why.
. "$(dirname "$0")/common.sh"
export PASSLOOP_VIRTUAL_GPUS=4x80GiB

passloop submit --name share -g 0.5 --array 1-2 -- sh -c 'echo "I see $CUDA_VISIBLE_DEVICES"; sleep 6'
passloop submit --name whole -g 1 --vram 40GiB -- sh -c 'echo "I see $CUDA_VISIBLE_DEVICES"; sleep 6'
all=$(passloop submit --name all -g 4 -- sh -c 'echo "I see $CUDA_VISIBLE_DEVICES"')
passloop gpus
passloop why "$all"
passloop wait "$all"
passloop logs "$all"

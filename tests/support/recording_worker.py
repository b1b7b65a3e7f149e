"""A task that leaves proof of itself: `recording_worker.py FOLDER MILLIS [CODE]`, run with `python -I -S`.

It appends to FOLDER/record one line when it begins and one before it ends: which attempt it is, which process, when,
and whether it was alone: it holds FOLDER/<task>.lock as long as it lives, which a second live attempt cannot.
MILLIS is how long its work takes; "gate" instead waits for a byte from the pipe FOLDER/gate.
"""

import fcntl
import os
import select
import sys
import time

folder, work = sys.argv[1:3]
code = int(sys.argv[3]) if len(sys.argv) > 3 else 0
task = os.environ["PASSLOOP_TASK_ID"]
lock = os.open(f"{folder}/{task}.lock", os.O_RDWR | os.O_CREAT, 0o600)
record = os.open(f"{folder}/record", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
with open("/proc/self/stat", encoding="ascii") as stat:
    ticks = stat.read().rpartition(")")[2].split()[19]
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    alone = 1
except BlockingIOError:
    alone = 0


def tell(what: str) -> None:
    words = [what, task, os.environ["PASSLOOP_ATTEMPT"], os.environ["PASSLOOP_ATTEMPT_ID"]]
    words += [str(os.getpid()), ticks, str(time.monotonic_ns()), str(alone), os.environ["PASSLOOP_GPUS"] or "-"]
    os.write(record, " ".join(words).encode() + b"\n")


tell("start")
if work == "gate":
    os.read(os.open(f"{folder}/gate", os.O_RDONLY), 1)  # one byte lets one through
else:
    select.poll().poll(int(work))
tell("end")
sys.exit(code)

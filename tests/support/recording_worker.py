"""A task that leaves proof of itself: `recording_worker.py FOLDER MILLIS [CODE]`, run with `python -I -S`.

It appends to FOLDER/record one line when it begins and one before it ends: which attempt it is, which process, when,
whether it was alone (it holds FOLDER/<task>.lock as long as it lives, which a second live attempt cannot), and how it
is going to end.
MILLIS is how long its work takes; "gate" instead waits for a byte from the pipe FOLDER/gate. Told to end by SIGTERM it
says its end, too, and dies of it: only who is killed has a line without an end.
"""

import fcntl
import os
import select
import signal
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


def tell(what: str, status: int | str = "-") -> None:
    words = [what, task, os.environ["PASSLOOP_ATTEMPT"], os.environ["PASSLOOP_ATTEMPT_ID"]]
    words += [str(os.getpid()), ticks, str(time.monotonic_ns()), str(alone), os.environ["PASSLOOP_GPUS"] or "-"]
    words.append(str(status))
    os.write(record, " ".join(words).encode() + b"\n")


def wait() -> bool:
    """Do the work. Whether SIGTERM came before its end."""
    ends = select.poll()
    ends.register(told, select.POLLIN)
    if work != "gate":
        return bool(ends.poll(int(work)))
    gate = os.open(f"{folder}/gate", os.O_RDONLY | os.O_NONBLOCK)
    ends.register(gate, select.POLLIN)
    while (told, select.POLLIN) not in ends.poll():
        try:
            os.read(gate, 1)
        except BlockingIOError:
            continue  # another one took the byte that lets one through
        return False
    return True


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
tell("start")
told, telling = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
signal.set_wakeup_fd(telling)
signal.signal(signal.SIGTERM, lambda *_: None)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
ended = wait()
tell("end", -signal.SIGTERM if ended else code)
if ended:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
sys.exit(code)

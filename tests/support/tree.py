"""A tree of processes for tests: `tree.py SHAPE PIPE`. Each process says "x" on the pipe and then waits for ever.

Of a chain only the last one does, and ends when it is asked to; those above it do not, but wait for it. Who leaves a
daemon ends as soon as that is there.
"""

import os
import signal
import sys

shape, path = sys.argv[1:]
pipe = os.open(path, os.O_WRONLY)


def stay() -> None:
    os.write(pipe, b"x")
    stay_silent()


def stay_silent() -> None:
    while True:
        signal.pause()


def fork_and_stay() -> None:
    if os.fork() == 0:
        stay()


if shape == "child":
    os.set_inheritable(pipe, True)
    os.spawnv(os.P_NOWAIT, "/bin/sh", ["sh", "-c", f"printf x >&{pipe}; exec sleep 600"])
elif shape == "fork":
    fork_and_stay()
    fork_and_stay()
elif shape == "double_fork":
    if os.fork() == 0:
        fork_and_stay()
        os._exit(0)
elif shape == "setsid":
    if os.fork() == 0:
        os.setsid()
        stay()
elif shape == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    fork_and_stay()
elif shape == "chain":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if os.fork() == 0:
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            stay()
        os.wait()
        os._exit(0)
    os.wait()
    os._exit(0)
elif shape in ("leaves_daemon", "leaves_stubborn_daemon"):
    if shape == "leaves_stubborn_daemon":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    is_up, up = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(pipe, b"x")
            os.close(up)
            stay_silent()
        os._exit(0)
    os.close(up)
    os.read(is_up, 1)
    os._exit(0)
elif shape == "clean_environment" and os.fork() == 0:
    os.set_inheritable(pipe, True)
    os.execve("/bin/sh", ["sh", "-c", f"printf x >&{pipe}; exec sleep 600"], {"PATH": "/bin:/usr/bin"})
stay()

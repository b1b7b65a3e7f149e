"""Forks real engines from a process that has imported everything, so that 200 of them start within seconds.

Run as a program: `engine_nursery.py SOCKET_FD`. Each message is JSON with one descriptor: `{"home", "environ"}` forks
an engine that writes `ready` to the descriptor once its socket answers and holds it until its end; the reply is its
pid. `{"reap"}` waits for that pid and replies how it ended, as `subprocess` would say it. Never used by the product.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import traceback
from importlib import import_module
from typing import Any

from passloop.cli import serving

PRELOADED = ("passloop.drivers.calls.client", "jinja2.sandbox", "jsonschema")
"""What engines load when they first need it; here it is loaded once for all of them."""

MESSAGE = 65_536
TRACE = "PASSLOOP_TESTS_TRACE"
"""As in `effects`, which is loaded only where it is asked for."""


def main(link: socket.socket) -> None:
    """Serve the tests at the other end until they hang up."""
    for name in PRELOADED:
        import_module(name)
    gc.freeze()
    while True:
        data, descriptors, _, _ = socket.recv_fds(link, MESSAGE, 1)
        if not data:
            return
        order = json.loads(data)
        if "reap" in order:
            _, status = os.waitpid(order["reap"], 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = fork_engine(link, order, descriptors[0])
            os.close(descriptors[0])
        link.sendall(b"%d\n" % answer)


def fork_engine(link: socket.socket, order: dict[str, Any], ready: int) -> int:
    """Fork one engine; its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        link.close()
        be_engine(order["home"], order["environ"], ready)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def be_engine(home: str, environ: dict[str, str], ready: int) -> None:
    """Be the engine of `home`, in a session of its own as the daemon is."""
    os.setsid()
    os.set_inheritable(ready, False)
    os.environ.clear()
    os.environ.update(environ)
    if TRACE in environ:
        import_module("effects").install(environ[TRACE])
    serving.serve(home, environ, on_ready=lambda: void(os.write(ready, b"ready\n")))


def void(_count: int) -> None:
    """Take what nobody wants."""


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))

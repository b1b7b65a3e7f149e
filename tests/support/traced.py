"""Scenarios whose processes write down what they do (`effects.py`), and the trace read back, thread by thread."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from passloop.cli.exits import CliError
from passloop.store.inotify import watcher

from . import effects
from .killing import ROOT, SECONDS, Field, Nursery
from .warm import call_of

__all__ = ["Deed", "deeds", "in_a_traced_fork", "traced_engines", "traced_full_disk"]


ROOMS = ("store/", "engine/", "drivers/", "apps/")
PIPE = 1 << 20
DELETED = 0x200
"""Of inotify: a file is gone from a folder."""


class Deed(NamedTuple):
    """An effect, the crash point that its thread reached last before it, and the first one after it ("" for none)."""

    site: str
    before: str
    after: str
    gap: tuple[str, ...]
    """All effects between these two points, in their order."""


def deeds(trace: Path, exempt: frozenset[str], killed: Collection[int] = ()) -> Iterator[Deed]:
    """Each effect of a trace but the exempt ones. Of processes that were killed at any moment, what each thread did
    last may lack the crash point that was to follow, and is left out.
    """
    threads: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for line in trace.read_text().splitlines():
        pid, thread, kind, what = line.split(" ", 3)
        lines = threads[pid, thread]
        if kind != "undone":
            lines.append((kind, what))
        elif lines and lines[-1][1].endswith(f" {what}"):
            lines.pop()
    for (pid, _), lines in threads.items():
        told = [line for line in lines if line[0] == "point" or line[1] not in exempt]
        while int(pid) in killed and told and told[-1][0] == "effect":
            told.pop()
        yield from _deeds(told)


def wait_until_all_are_gone(trace: Path) -> None:
    """Until no process lives that wrote to the trace: it is whole then."""
    for pid in {int(line.split(" ", 1)[0]) for line in trace.read_text().splitlines()}:
        with contextlib.suppress(ProcessLookupError):
            held = os.pidfd_open(pid)
            try:
                assert select.select([held], [], [], SECONDS)[0], f"process {pid} lives on"
            finally:
                os.close(held)


def _deeds(lines: list[tuple[str, str]]) -> Iterator[Deed]:
    before, gap = "", []
    for kind, what in [*lines, ("point", "")]:
        if kind == "effect":
            gap += [what] if what.startswith(ROOMS) else []
            continue
        yield from (Deed(site, before, what, tuple(gap)) for site in gap)
        before, gap = what, []


def in_a_traced_fork(trace: Path, work: Callable[[], object]) -> None:
    """Do `work` in a fork that writes down what it does."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        code = 1
        try:
            os.environ[effects.TRACE] = str(trace)
            effects.install(str(trace))
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def traced_engines(field: Field, nursery: Nursery, trace: Path) -> set[int]:
    """Four engines: one under work, one that dies before a launch, one before a stop, and one that finds what is left.

    Gives their pids: all of them are killed.
    """
    environ = field.environ | {effects.TRACE: str(trace)}
    engine = nursery.engine(field.home.path, environ)
    assert engine.wait_ready()
    ids = [*field.submit(0), *field.submit("gate"), *field.submit("gate")]
    path = os.pathsep.join([str(ROOT / "tests/support/traced_start"), *filter(None, sys.path)])
    env = {"PYTHONPATH": path, effects.TRACE: str(trace)}
    call = {"command": ["record"], "call": call_of("record", str(field.folder), 0), "env": env}
    warm = field.submit_tasks([call], cwd=str(ROOT), spec={"warm_key": "key"})
    field.wait_running(ids[1:])
    field.wait_final([*ids[:1], *warm])
    field.cancel(ids[1:2])
    field.wait_final(ids[1:2])
    engine.kill()
    dying = []
    acts = {"before_launch": lambda: field.submit(0, key="more"), "before_stop": lambda: field.cancel(ids[2:])}
    for place, act in acts.items():
        dying.append(nursery.engine(field.home.path, environ | {"PASSLOOP_CRASHPOINT": place}))
        assert dying[-1].wait_ready()
        with contextlib.suppress(CliError, OSError):
            act()
        dying[-1].end(-signal.SIGKILL)
    last = nursery.engine(field.home.path, environ)
    assert last.wait_ready()
    field.wait_final(ids)
    field.client.post("/tasks/rm", {"select": [str(ids[0])]})
    last.kill()
    wait_until_all_are_gone(trace)
    return {engine.pid, last.pid, *(one.pid for one in dying)}


def traced_full_disk(field: Field, nursery: Nursery, trace: Path) -> int:
    """An engine whose files cannot grow until its ballast is gone, and then can. It is killed; gives its pid."""
    pipe = trace.with_suffix(".pipe")  # for the trace is a file, too
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, PIPE)
    engine = nursery.engine(field.home.path, field.environ | {effects.TRACE: str(pipe)})
    assert engine.wait_ready()
    with ThreadPoolExecutor(1) as thread, watcher() as watch:
        watch.add(str(field.home.path), DELETED)
        _, most = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (0, most))
        asked = thread.submit(field.submit, 0)
        assert select.select([watch], [], [], SECONDS)[0], "the ballast is not given up"
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (most, most))
        field.wait_final(asked.result(SECONDS))
    engine.kill()
    with trace.open("ab") as file:
        file.write(os.read(reading, PIPE))
    os.close(reading)
    wait_until_all_are_gone(trace)
    return engine.pid

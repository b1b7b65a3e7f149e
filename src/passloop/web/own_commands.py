"""passloop's own command line, run for the page: a spec means one thing, whoever hands it in, and code that it names is
never loaded into the engine.

A command gets the spec on its standard input, the engine's own environment and the directory that was named. One that
follows a run (`bench`, `generate`, `tune`) goes on beside the engine until its run has ended. It ends with its engine;
where something would be missing then, a note beside the spec lets the next engine follow on.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from passloop.engine.engine import Engine
from passloop.engine.errors import EngineError, Unwritable
from passloop.engine.file_changes import FileChanges
from passloop.store.inotify import MODIFIED

__all__ = ["OwnCommands", "Said", "StartedCommand"]

AT_ONCE = 2
SECONDS = 60
LONGEST = 4_000
FOLDER = "specs"
LOG = ".log"
NOTE = ".follow"
UNREACHABLE = 5
"""The exit code of a follower whose engine went away."""
OWN_RUN = re.compile(r"^run (\d+) .* (?:started|joined|is whole): ", re.MULTILINE)
BEGINNING = 65_536
"""Characters within which a follower says which run is its own."""
IN_A_DIRECTORY = "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"
"""What a follower begins as: it is spawned without a parent that must outlive it, and that cannot name a directory."""
HERE = os.path.expanduser("~")
"""Where commands run if no directory was named."""


class TooSlow(EngineError):
    """A command of ours did not end in its time."""

    code = "too_slow"
    exit_code = 1


class Said(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class StartedCommand(NamedTuple):
    """A command that goes on: the file of the spec that was handed in, what tells that it says something, and the task
    that waits for its end.
    """

    spec: Path
    log: Path
    files: FileChanges
    ended: asyncio.Task[int]

    def said(self) -> str:
        """The end of what it said so far."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-LONGEST:]
        except OSError:
            return ""

    def own_run(self) -> int | None:
        """The run that it said it follows, or that made all that it wanted; None if it said none yet."""
        try:
            with self.log.open(encoding="utf-8", errors="replace") as file:
                found = OWN_RUN.search(file.read(BEGINNING))
        except OSError:
            return None
        return None if found is None else int(found[1])

    async def naming(self) -> int:
        """The same, once it says so. It may never say so."""
        with self.files.of(str(self.log), MODIFIED) as changed:
            while (run := self.own_run()) is None:
                await changed.wait()
                changed.clear()
            return run


class OwnCommands:
    """Runs commands against the home of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._places = asyncio.Semaphore(AT_ONCE)
        self._following: set[asyncio.Task[int]] = set()

    async def run(self, words: Sequence[str], *, text: str = "", cwd: str | None = None) -> Said:
        """Run a command to its end. Raises `TooSlow` after a minute."""
        async with self._places:
            process = await asyncio.create_subprocess_exec(
                *self._words(words),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=cwd or HERE,
                env=self._environment(),
            )
            try:
                async with asyncio.timeout(SECONDS):
                    out, err = await process.communicate(text.encode())
            except TimeoutError:
                raise TooSlow("passloop itself took more than a minute for it", hint="make the spec smaller") from None
            finally:
                await _gone(process)
        return Said(process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))

    async def start(self, words: Sequence[str], *, text: str, name: str, cwd: str | None) -> StartedCommand:
        """Keep the spec in the home, and start a command on it that goes on by itself."""
        spec = await asyncio.to_thread(self.keep, text, name)
        pid = await asyncio.to_thread(self._spawned, words, spec, cwd or HERE)
        return StartedCommand(spec, spec.with_suffix(LOG), self._engine.files, self._watched(pid))

    async def keep_following(self, started: StartedCommand, words: Sequence[str], *, cwd: str | None) -> None:
        """Should the engine end before this command, let the next one run these words on the same spec."""
        note = started.spec.with_suffix(NOTE)
        await asyncio.to_thread(_write, note, json.dumps({"words": list(words), "cwd": cwd}))
        started.ended.add_done_callback(partial(_forget, note))

    async def follow_again(self) -> None:
        """Start what followed runs beside an engine that has ended. To be called once, when the socket is served."""
        for note in await asyncio.to_thread(lambda: sorted((self._engine.home.path / FOLDER).glob(f"*{NOTE}"))):
            pid = await asyncio.to_thread(self._spawned_again, note)
            if pid is not None:
                self._watched(pid).add_done_callback(partial(_forget, note))

    def _spawned_again(self, note: Path) -> int | None:
        """The process that a note asks for; of one that cannot be read, or whose spec is gone, nothing is left."""
        try:
            told = json.loads(note.read_text(encoding="utf-8"))
            return self._spawned([str(word) for word in told["words"]], note.with_suffix(".yaml"), told["cwd"] or HERE)
        except (OSError, ValueError, KeyError, TypeError):
            note.unlink(missing_ok=True)
            return None

    def _watched(self, pid: int) -> asyncio.Task[int]:
        """The task that waits for the end of a command."""
        ended = asyncio.get_running_loop().create_task(_end_of(pid), name="passloop-follower")
        self._following.add(ended)
        ended.add_done_callback(self._following.discard)
        return ended

    def _spawned(self, words: Sequence[str], spec: Path, cwd: str) -> int:
        """A process of its own session that reads the spec and writes the log."""
        told = os.open(spec, os.O_RDONLY | os.O_CLOEXEC)
        said = _private(str(spec.with_suffix(LOG)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        actions = [(os.POSIX_SPAWN_DUP2, told, 0), (os.POSIX_SPAWN_DUP2, said, 1), (os.POSIX_SPAWN_DUP2, said, 2)]
        line = [sys.executable, "-c", IN_A_DIRECTORY, cwd, *self._words(words)]
        try:
            return os.posix_spawn(sys.executable, line, self._environment(), file_actions=actions, setsid=True)
        finally:
            os.close(told)
            os.close(said)

    def keep(self, text: str, name: str) -> Path:
        """Keep a spec that was handed in as a file of its own in the home, for its user alone. Raises `Unwritable`."""
        folder = self._engine.home.path / FOLDER
        plain = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)[:60] or "spec"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            return _kept(folder, plain, self._engine.clock.wall(), text)
        except OSError as error:
            what = f"the spec cannot be kept in {folder}: {error.strerror}"
            raise Unwritable(what, hint="free space on the disk of the home") from None

    def _words(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "passloop.cli", "--one-engine", "--home", str(self._engine.home.path), *words]

    def _environment(self) -> Mapping[str, str]:
        told = {name: value for name, value in self._engine.settings.environ.items() if name != "PASSLOOP_HOME"}
        return {"PATH": os.defpath, **os.environ, **told, "NO_COLOR": "1", "COLUMNS": "120"}


def _kept(folder: Path, plain: str, since: int, text: str) -> Path:
    """A new file of this name and time (ms): two specs of one name that are handed in at once are two."""
    for stamp in count(since):
        path = folder / f"{stamp}-{plain}.yaml"
        with suppress(FileExistsError):
            _write(path, text, mode="x")
            return path
    raise AssertionError("numbers do not end")


def _write(path: Path, text: str, *, mode: str = "w") -> None:
    with open(path, mode, encoding="utf-8", opener=_private) as file:
        file.write(text)


def _forget(note: Path, ended: asyncio.Task[int]) -> None:
    """A follower that came to its own end need not be started again."""
    if not ended.cancelled() and ended.exception() is None and ended.result() not in (UNREACHABLE, -signal.SIGKILL):
        note.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


async def _end_of(pid: int) -> int:
    """The exit code of a child, once it has ended. One that nobody waits for ends by itself when its engine is gone."""
    gone = asyncio.Event()
    watched = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    loop.add_reader(watched, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(watched)
        os.close(watched)
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    return os.waitstatus_to_exitcode(status)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """End what is still there, and wait for it."""
    if process.returncode is None:
        process.kill()
        await process.wait()

"""passloop's own command line, run for the page: a spec means one thing, whoever hands it in, and code that it names is
never loaded into the engine.

A command gets the spec on its standard input, the engine's own environment and the directory that was named. One that
follows a run (`bench`, `generate`, `tune`) goes on beside the engine until its run has ended.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from passloop.engine.engine import Engine
from passloop.engine.errors import EngineError

__all__ = ["OwnCommands", "Said", "StartedCommand"]

AT_ONCE = 2
SECONDS = 60
LONGEST = 4_000
FOLDER = "specs"
LOG = ".log"
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
    """A command that goes on: the file of the spec that was handed in, and the task that waits for its end."""

    spec: Path
    log: Path
    ended: asyncio.Task[int]

    def said(self) -> str:
        """The end of what it said so far."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")[-LONGEST:]
        except OSError:
            return ""


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
        spec, told, said = await asyncio.to_thread(self._files, text, name)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words(words),
                stdin=told,
                stdout=said,
                stderr=said,
                cwd=cwd or HERE,
                env=self._environment(),
                start_new_session=True,
            )
        finally:
            os.close(told)
            os.close(said)
        ended = asyncio.get_running_loop().create_task(process.wait(), name="passloop-follower")
        self._following.add(ended)
        ended.add_done_callback(self._following.discard)
        return StartedCommand(spec, spec.with_suffix(LOG), ended)

    def _files(self, text: str, name: str) -> tuple[Path, int, int]:
        """The kept spec, and descriptors of it and of what will be said."""
        spec = self.keep(text, name)
        said = _private(str(spec.with_suffix(LOG)), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        return spec, os.open(spec, os.O_RDONLY | os.O_CLOEXEC), said

    def keep(self, text: str, name: str) -> Path:
        """Keep a spec that was handed in as a file of its own in the home, for its user alone."""
        folder = self._engine.home.path / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        plain = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in name)[:60] or "spec"
        stamp = self._engine.clock.wall()
        path = folder / f"{stamp}-{plain}.yaml"
        with open(path, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
        return path

    def _words(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "passloop.cli", "--home", str(self._engine.home.path), *words]

    def _environment(self) -> Mapping[str, str]:
        told = {name: value for name, value in self._engine.settings.environ.items() if name != "PASSLOOP_HOME"}
        return {"PATH": os.defpath, **os.environ, **told, "NO_COLOR": "1", "COLUMNS": "120"}


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


async def _gone(process: asyncio.subprocess.Process) -> None:
    """End what is still there, and wait for it."""
    if process.returncode is None:
        process.kill()
        await process.wait()

"""Crash points to die at, and the evidence of who died there: each process says the name and its pid in a pipe first.

A test that is marked `dies_at(*names)` gets each of them as `place`; it fails if nobody died there, whatever else it
found. `deadly` finds the tests that are marked so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from passloop.crashpoints import VARIABLE

__all__ = ["Place", "deadly", "dies_at", "fork_until_killed", "place_at"]


Tell = Callable[[str], None]


class Place:
    """A crash point, and a pipe in which who dies there says so. Never asks a process anything else."""

    def __init__(self, name: str, pipe: Path, reading: int) -> None:
        self.name = name
        self._pipe = pipe
        self._reading = reading
        self._heard = b""

    def nth(self, number: int) -> dict[str, str]:
        """What is in the environment of a process that is to die when it comes there the `number`th time."""
        return {VARIABLE: f"{self.name}:{number}:{self._pipe}"}

    @property
    def environ(self) -> dict[str, str]:
        """The same for the first time."""
        return self.nth(1)

    def dead(self) -> list[int]:
        """Who has died there so far. Fails if anybody died at another place."""
        try:
            while text := os.read(self._reading, 65_536):
                self._heard += text
        except BlockingIOError:
            pass
        lines = [line.split() for line in self._heard.decode().splitlines()]
        assert {name for name, _ in lines} <= {self.name}
        return [int(pid) for _, pid in lines]


@contextmanager
def place_at(name: str, folder: Path) -> Iterator[Place]:
    """The crash point of that name; at the end somebody must have died there."""
    pipe = folder / "died"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        place = Place(name, pipe, reading)
        yield place
        assert place.dead(), f"nothing that ran here died at {name}"
    finally:
        os.close(reading)


def dies_at(*names: str) -> Any:
    """Let a test have each of these crash points as `place`."""
    return pytest.mark.parametrize("place", names, indirect=True)


def deadly(modules: Iterable[ModuleType]) -> Iterator[tuple[str, str]]:
    """Each test in these modules that `dies_at` a crash point and is run by CI, with the name."""
    for module in modules:
        tests = [found for name, found in vars(module).items() if name.startswith("test_")]
        for test in tests:
            yield from ((f"{module.__name__}.{test.__name__}", name) for name in _places_of(test))


def _places_of(test: Any) -> list[str]:
    marks = list(getattr(test, "pytestmark", ()))
    if {"large", "skip", "skipif", "xfail"} & {mark.name for mark in marks}:
        return []
    deaths = [mark for mark in marks if mark.name == "parametrize" and mark.kwargs == {"indirect": True}]
    return [str(name) for mark in deaths if mark.args[0] == "place" for name in mark.args[1]]


def fork_until_killed(
    place: Place, work: Callable[[Callable[[str], None]], object], *, nth: int = 1
) -> list[str] | None:
    """Let a fork do `work`, which may tell words; what it had told when it died at `place`, None if it lived."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if not pid:
        try:
            os.environ.update(place.nth(nth))
            work(lambda word: void(os.write(writing, f"{word}\n".encode())))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read().split()
    _, status = os.waitpid(pid, 0)
    died = pid in place.dead()
    assert os.waitstatus_to_exitcode(status) == (-9 if died else 0)
    return told if died else None


def void(_count: int) -> None:
    """Take what nobody wants."""

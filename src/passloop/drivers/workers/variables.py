"""The environment variables of a worker's cells. What passloop says of a cell stays until the next one is told other
things, for putting four back after each would cost a short cell more than its call; a task's own are put back at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["Variables"]


class Variables:
    """Sets them for one cell after the other."""

    def __init__(self) -> None:
        self._said: Mapping[str, str] = {}

    @contextmanager
    def of(self, said: Mapping[str, str], own: Mapping[str, str] | None) -> Iterator[None]:
        """Set variables for a cell; the task's own win over the worker's, passloop's over both."""
        for name in self._said.keys() - said.keys():
            os.environ.pop(name, None)
        self._said = said
        if not own:
            _set(said)
            yield
            return
        mine = {name: value for name, value in own.items() if name not in said}
        before = {name: os.environ.get(name) for name in mine}
        _set(mine)
        _set(said)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _set(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        os.environ[name] = value

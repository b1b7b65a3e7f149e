"""Wants of the system, made on purpose: while they last it lets no thread begin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

__all__ = ["no_thread_begins"]


@contextmanager
def no_thread_begins(*, but: int = 0) -> Iterator[None]:
    """Inside, the system lets no thread begin `but` so many."""
    left, begin = [None] * but, threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        begin(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield

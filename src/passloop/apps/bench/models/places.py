"""Where things about models are kept in the home: converted weights and the digests of large files. Light."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

__all__ = ["models_folder", "models_kept_in"]

_HOME: ContextVar[str | None] = ContextVar("home", default=None)


@contextmanager
def models_kept_in(home: str | os.PathLike[str]) -> Iterator[None]:
    """Within this, the home is that one, however it was named: by a flag, a variable or the settings."""
    token = _HOME.set(os.fspath(home))
    try:
        yield
    finally:
        _HOME.reset(token)


def models_folder() -> Path:
    """The folder of models in the home: that of `models_kept_in`, else `PASSLOOP_HOME`, else the XDG state directory.
    It is not made here.
    """
    named = _HOME.get() or os.environ.get("PASSLOOP_HOME")
    if named:
        return Path(named).expanduser().absolute() / "models"
    from platformdirs import user_state_path

    return user_state_path("passloop") / "models"

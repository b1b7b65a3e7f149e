"""Which passloop this is."""

from __future__ import annotations

from functools import cache
from importlib import metadata

__all__ = ["version"]


@cache
def version() -> str:
    """The installed version."""
    try:
        return metadata.version("passloop")
    except metadata.PackageNotFoundError:
        return "0+unknown"

"""Which passloop this is. Asked of the installed package only when needed: reading metadata costs time."""

from __future__ import annotations

__all__ = ["version"]


def version() -> str:
    """The installed version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as of

    try:
        return of("passloop")
    except PackageNotFoundError:
        return "0+unknown"

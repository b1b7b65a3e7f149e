"""What a worker leaves in `workers/<id>/` when it is gone. Must never touch the folder of one that may live."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["remove_blank"]

_SAYING = ("stdout.log", "stderr.log", "stdout.spool", "stderr.spool")


def remove_blank(directory: Path) -> None:
    """Remove the folder of a worker that is proven gone, unless its logs say something; then people may want it."""
    if not any(_says(directory / name) for name in _SAYING):
        shutil.rmtree(directory, ignore_errors=True)


def _says(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False
    except OSError:
        return True

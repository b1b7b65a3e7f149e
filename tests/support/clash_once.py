"""A server whose port is taken at its first start and free at its second: `clash_once.py MARKER PROGRAM WORD...`."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(marker: str, *command: str) -> None:
    """Fail as a server does whose port is taken; once `marker` is there, be the program."""
    if Path(marker).exists():
        os.execv(command[0], command)
    Path(marker).touch()
    sys.exit("OSError: [Errno 98] address already in use")


if __name__ == "__main__":
    main(*sys.argv[1:])

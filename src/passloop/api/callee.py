"""The process of a `passloop.call`: `python -m passloop.api.callee PACKAGE.MODULE:FUNCTION ARGUMENTS`.

It imports one function, calls it with JSON arguments, and leaves what it returns as JSON in PASSLOOP_OUT. Whatever the
function raises ends the process as it would end any program.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from passloop.drivers.workers.results import UNSAYABLE, call, function_at, leave_result

__all__ = ["main"]


def main(target: str, arguments: str) -> int:
    """Call the function; 0 if what it returned could be written down."""
    given = json.loads(arguments)
    value = call(function_at(target), given["args"], given["kwargs"])
    wrong = leave_result(target, value, Path(os.environ.get("PASSLOOP_OUT", ".")))
    return UNSAYABLE if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

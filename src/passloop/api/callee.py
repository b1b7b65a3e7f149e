"""The process of a `passloop.call`: `python -m passloop.api.callee PACKAGE.MODULE:FUNCTION ARGUMENTS`.

It imports one function, calls it with JSON arguments, and leaves what it returns as JSON in PASSLOOP_OUT. Whatever the
function raises ends the process as it would end any program.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(target: str, arguments: str) -> int:
    """Call the function; 0 if what it returned could be written down."""
    module, _, path = target.partition(":")
    function: Any = reduce(getattr, path.split("."), import_module(module))
    given = json.loads(arguments)
    value = function(*given["args"], **given["kwargs"])
    if inspect.iscoroutine(value):
        value = asyncio.run(value)
    try:
        text = json.dumps(value)
    except (TypeError, ValueError) as wrong:
        print(f"passloop: what {target} returned cannot be said in JSON: {wrong}", file=sys.stderr)
        print("  how to fix: return numbers, text, lists, dicts; write other things to PASSLOOP_OUT", file=sys.stderr)
        return 1
    out = Path(os.environ.get("PASSLOOP_OUT", "."))
    (out / "result.json").write_text(text, encoding="utf-8")
    metrics = _metrics(json.loads(text))
    if metrics and not (out / "metrics.json").exists():
        (out / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    return 0


def _metrics(value: Any) -> dict[str, Any]:
    """What of a result fits a table: its numbers, texts and booleans."""
    named = value if isinstance(value, dict) else {"result": value}
    return {name: one for name, one in named.items() if isinstance(one, str | int | float)}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The adapter `command`: any program is a cell. What it leaves in `metrics.json` in PASSLOOP_OUT is the result, and
lines in `samples.jsonl` there are its answers, if it has any.

Words in braces that name an axis or a parameter are replaced, everything else is passed on; no shell is involved. The
program's exit code becomes that of the attempt, and an `outcome.json` of its own is honoured.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from passloop.apps.bench.adapters.base import CellReport, CellWork, Granted, LoadNeeds, Recorder
from passloop.apps.bench.adapters.plain import FreeNames
from passloop.apps.bench.durable import read_json
from passloop.apps.bench.errors import CellError, DeviceFault, OutOfMemory
from passloop.apps.bench.samples import answers_of
from passloop.apps.errors import BadValue
from passloop.apps.templates import Template, scalar_text

__all__ = ["KIND", "CommandKind", "filled"]

LONGEST_LINE = 300
"""Bytes at the end of a log among which the last line is looked for."""


class CommandKind(FreeNames):
    """The light half."""

    name = "command"
    family = "command"
    warm = False

    def resolve_options(self, options: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        """The command."""
        unknown = [name for name in options if name != "command"]
        if unknown:
            raise BadValue(
                f"the adapter command takes no option `{unknown[0]}`",
                "leave `options` out",
                path=("options", unknown[0]),
            )
        if not options.get("command"):
            raise BadValue("there is no command", 'write for example command: [python, eval.py, "{model}"]')
        return {"command": list(options["command"])}

    def create(self, options: Mapping[str, Any]) -> CommandAdapter:
        """The adapter; it has nothing to import."""
        return CommandAdapter(tuple(options["command"]))


class CommandAdapter:
    """Starts one process for each cell."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command = command

    def load(self, needs: LoadNeeds, granted: Granted) -> None:
        """Nothing is loaded: the program does that."""

    def run_cell(self, cell: CellWork, record: Recorder) -> CellReport:
        """Run the program to its end and read what it left."""
        words = filled(self._command, cell)
        record.note("command", command=json.dumps(words))
        written = _written()
        try:
            ended = subprocess.run(words, check=False, stdin=subprocess.DEVNULL, env=_environment(cell.out))
        except OSError as error:
            raise CellError(f"{words[0]} cannot be started: {error.strerror}", exit_code=127) from None
        if ended.returncode != 0:
            raise _failure(ended.returncode, cell.out, said=_last_line(written))
        return CellReport(metrics=_metrics(cell.out), samples=tuple(answers_of(cell.out / "samples.jsonl")))

    def reset(self) -> None:
        """Nothing is kept."""

    def fingerprint(self) -> str:
        """The same always: nothing is kept."""
        return ""

    def unload(self) -> None:
        """Nothing is kept."""


def filled(command: tuple[str, ...], cell: CellWork) -> tuple[str, ...]:
    """The command of a cell. A parameter of other configurations is an empty text here, as is a missing subset."""
    names = cell.names
    texts = dict.fromkeys(cell.blank, "") | {
        "python": sys.executable,
        "model": names.model,
        "sparse_attention": names.sparse_attention,
        "benchmark": names.benchmark,
        "subset": names.subset,
        "seed": str(cell.seed),
        "samples": "" if cell.samples is None else str(cell.samples),
        **{name: _text(value) for name, value in cell.method.parameters.items()},
    }
    return Template(command, texts).fill(texts)


def _text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, list | dict) else scalar_text(value)


def _environment(out: Path) -> dict[str, str]:
    return {**os.environ, "PASSLOOP_OUT": str(out)}


def _written() -> int | None:
    """How long the log is that the program writes its errors to; None where they go elsewhere."""
    found = os.fstat(sys.stderr.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _last_line(since: int | None) -> str:
    """The last thing that was written to the log after its first so many bytes: most programs say there what is wrong.
    It is for people; what becomes of the cell never follows from it.
    """
    if since is None:
        return ""
    with open(f"/proc/self/fd/{sys.stderr.fileno()}", "rb") as log:
        log.seek(max(since, os.fstat(log.fileno()).st_size - LONGEST_LINE))
        lines = [line.strip() for line in log.read(LONGEST_LINE).decode("utf-8", "replace").splitlines()]
    return next((line for line in reversed(lines) if line), "")


def _failure(code: int, out: Path, *, said: str) -> CellError:
    """What a bad end means: by the program's own word, else by its exit code."""
    told = read_json(out / "outcome.json")
    word = told if isinstance(told, dict) else {}
    exit_code = 128 - code if code < 0 else code
    ended = f"the command ended with exit code {exit_code}"
    message = str(word.get("message") or (f"{ended}: {said}" if said else ended))
    if word.get("outcome") == "out_of_memory":
        return OutOfMemory(message, exit_code=exit_code)
    if word.get("outcome") == "device_fault":
        return DeviceFault(message, device=str(word.get("device") or "") or None, exit_code=exit_code)
    return CellError(message, exit_code=exit_code)


def _metrics(out: Path) -> Mapping[str, Any]:
    found = read_json(out / "metrics.json")
    if found is None:
        raise CellError("the command ended well but left no metrics.json in PASSLOOP_OUT", exit_code=1)
    return found if isinstance(found, dict) else {"result": found}


KIND = CommandKind()

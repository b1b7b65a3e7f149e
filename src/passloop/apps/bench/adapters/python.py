"""The adapter `python`: a class by import path. It needs `run_cell(cell, record)`; `load`, `reset`, `fingerprint` and
`unload` are used where it has them.

The class is imported in the worker, from the directory that the cells run in; what it takes is in `options`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

from passloop.apps.bench.adapters.base import CellReport, CellWork, Granted, LoadNeeds, Recorder
from passloop.apps.bench.adapters.plain import FreeNames
from passloop.apps.bench.errors import ConfigError
from passloop.apps.errors import BadValue
from passloop.apps.text import shown

__all__ = ["KIND", "PythonAdapter", "PythonKind"]

PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class PythonKind(FreeNames):
    """The light half."""

    name = "python"
    family = "python"

    def resolve_options(self, options: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
        """The import path, and what the class is given."""
        path = options.get("python")
        if not path:
            raise BadValue("there is no class", "write for example python: package.module:Class")
        if not PATH.fullmatch(str(path)):
            raise BadValue(
                f"{shown(str(path))} is no import path", "write python: package.module:Class", path=("python",)
            )
        return dict(options)

    def create(self, options: Mapping[str, Any]) -> PythonAdapter:
        """Import the class and make one."""
        given = {name: value for name, value in options.items() if name != "python"}
        return PythonAdapter(_made(str(options["python"]), given))


class PythonAdapter:
    """The user's object behind the whole contract."""

    def __init__(self, own: Any) -> None:
        if not callable(getattr(own, "run_cell", None)):
            raise ConfigError(f"{type(own).__name__} has no method run_cell(cell, record)")
        self._own = own

    def load(self, needs: LoadNeeds, granted: Granted) -> None:
        """The object's own `load`."""
        self._call("load", needs, granted)

    def run_cell(self, cell: CellWork, record: Recorder) -> CellReport:
        """The object's `run_cell`: a report, or a mapping of metrics."""
        found = self._own.run_cell(cell, record)
        if isinstance(found, CellReport):
            return found
        if not isinstance(found, Mapping):
            raise ConfigError(f"run_cell returned {type(found).__name__}; return a mapping of metrics")
        return CellReport(metrics=found)

    def reset(self) -> None:
        """The object's own `reset`."""
        self._call("reset")

    def fingerprint(self) -> str:
        """The object's own `fingerprint`; without one it is taken for unchanged."""
        return str(self._call("fingerprint") or "")

    def unload(self) -> None:
        """The object's own `unload`."""
        self._call("unload")

    def _call(self, name: str, *given: Any) -> Any:
        own = getattr(self._own, name, None)
        return own(*given) if callable(own) else None


def _made(path: str, given: Mapping[str, Any]) -> Any:
    module, _, name = path.partition(":")
    try:
        made = reduce(getattr, name.split("."), import_module(module))
    except AttributeError:
        raise ConfigError(f"{module} has no {name}") from None
    return made(**given) if callable(made) else made


KIND = PythonKind()

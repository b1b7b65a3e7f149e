"""The public Python API, and nothing else. Every name is imported when it is first used, so that this import costs
nothing: a command pays only for what it needs.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what typing says too, without its import; type checkers take it for true

if TYPE_CHECKING:
    from passloop.api.blocking import SyncEngine as SyncEngine
    from passloop.api.blocking import SyncRun as SyncRun
    from passloop.api.blocking import open_sync as open_sync
    from passloop.api.commands import Command as Command
    from passloop.api.commands import call as call
    from passloop.api.commands import command as command
    from passloop.api.engine import Engine as Engine
    from passloop.api.engine import open as open
    from passloop.api.errors import EngineGone as EngineGone
    from passloop.api.errors import NeverFits as NeverFits
    from passloop.api.errors import PassloopError as PassloopError
    from passloop.api.gpu_pool import GpuPool as GpuPool
    from passloop.api.gpu_pool import Lease as Lease
    from passloop.api.gpu_pool import PoolStatistics as PoolStatistics
    from passloop.api.matrix import MatrixResult as MatrixResult
    from passloop.api.matrix import run_matrix as run_matrix
    from passloop.api.records import Change as Change
    from passloop.api.records import Gpu as Gpu
    from passloop.api.records import Pool as Pool
    from passloop.api.records import RunResult as RunResult
    from passloop.api.records import Task as Task
    from passloop.api.run import Run as Run

_ROOMS = {
    "blocking": ("SyncEngine", "SyncRun", "open_sync"),
    "commands": ("Command", "call", "command"),
    "engine": ("Engine", "open"),
    "errors": ("EngineGone", "NeverFits", "PassloopError"),
    "gpu_pool": ("GpuPool", "Lease", "PoolStatistics"),
    "matrix": ("MatrixResult", "run_matrix"),
    "records": ("Change", "Gpu", "Pool", "RunResult", "Task"),
    "run": ("Run",),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [  # noqa: PLE0604  each is there on first use
    *sorted(_ROOM_OF),
]


def __getattr__(name: str) -> object:
    """Import a public name now that it is used."""
    room = _ROOM_OF.get(name)
    if room is None:
        raise AttributeError(f"module 'passloop' has no attribute {name!r}")
    from importlib import import_module

    return globals().setdefault(name, getattr(import_module(f"passloop.api.{room}"), name))


def __dir__() -> list[str]:
    return [*globals(), *_ROOM_OF]

"""What an engine may be told besides where its home is. Plain values; who reads them from where is not its matter."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from passloop.kernel.state import KernelSettings

from .pause import BALLAST_BYTES

__all__ = ["EngineSettings"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`linger_ms` is how long the record of a start may wait for the next commit. `environ` has PASSLOOP_* settings.

    `seed` gives each turn its seed; it is stored with the turn, so that a replay sees the same. `ballast_bytes` of the
    disk are kept for the record of a pause. `open_files` is the soft limit of open files for what the engine runs, None
    for the engine's own.
    """

    linger_ms: int = 4
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    kernel: KernelSettings = field(default_factory=KernelSettings)
    seed: Callable[[], int] = lambda: secrets.randbits(31)
    ballast_bytes: int = BALLAST_BYTES
    open_files: int | None = None

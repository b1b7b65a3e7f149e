"""What makes two measurements the same: the hash of a candidate, and the id of all that a study measures under.

The id holds what a spec determines measurements by (engine, load) and nothing of the search, so that another space,
sampler or SLO finds what was measured. The server's version is not in it: only a server that runs tells it; what was
measured with another one is told apart by `scoring/likeness.py`. Goodput and attainment are measured against limits:
where they are asked for, the limits are part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from passloop.apps.secrecy import is_outside_identity

__all__ = ["digest", "hash_of"]

FORMAT = 1
DIGITS = 16


def hash_of(argv: Sequence[str], env: Mapping[str, str], *, gpus: int, cpus_milli: int) -> str:
    """The hash of a candidate, in 16 hex digits. The estimate of memory is not in it: it changes with what is seen; nor
    are variables that look like secrets: a new token measures nothing new.
    """
    kept = {name: value for name, value in env.items() if not is_outside_identity(name)}
    return digest([list(argv), kept, gpus, cpus_milli])


def digest(value: Any) -> str:
    """16 hex digits of plain data, by its canonical JSON."""
    told = json.dumps([FORMAT, value], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(told.encode()).hexdigest()[:DIGITS]

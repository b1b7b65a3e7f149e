"""What the cells of one `passloop bench` share while they run: when the breaker opens, where it is written down."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Invocation"]


class Invocation(Struct, frozen=True, omit_defaults=True):
    """One start of a spec. `log` is the absolute path of its failures ("": nobody counts them). A model is to blame
    only if its failures are of `spread` different configurations: one alone may be at fault itself.
    """

    log: str = ""
    model_cells: int = 3
    spread: int = 1
    device_models: int = 3
    fail_fast: bool = False

"""What can never fit on this machine: the words for it, and the first pool in the way.

It compares requests with what the machine is built of, never with what is free now, and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from .amounts import CPU_UNIT, SHARE_WHOLE
from .device_pool import DeviceState
from .events import PoolKind
from .pools import ScalarPool
from .records import Shape, ShapeVariant
from .resources import DeviceAsk
from .state import State

__all__ = ["explain_misfit", "misfitting_devices", "misfitting_draw"]

GIB = 1_024


def explain_misfit(state: State, shape: Shape) -> str:
    """Why no variant can ever fit, with the numbers in people's units."""
    reasons = ["; and ".join(_reasons(state, variant)) for variant in shape.variants]
    return "it can never fit on this machine: " + "; or ".join(reason for reason in reasons if reason)


def misfitting_draw(shape: Shape) -> tuple[ScalarPool, int] | None:
    """The first pool that is too small, and what is asked of it."""
    return next(((pool, n) for each in shape.variants for pool, n in each.draws if n > pool.capacity), None)


def misfitting_devices(state: State, shape: Shape) -> DeviceAsk | None:
    """The first ask for GPUs that those of this machine can never serve."""
    asks = (each.devices for each in shape.variants)
    return next((ask for ask in asks if ask is not None and not state.devices.would_hold(ask)), None)


def _reasons(state: State, variant: ShapeVariant) -> Iterator[str]:
    for pool, amount in variant.draws:
        if amount > pool.capacity:
            yield _too_much(pool, amount)
    ask = variant.devices
    if ask is not None and not state.devices.would_hold(ask):
        sizes = [d.vram for d in state.devices.devices.values() if d.state is not DeviceState.LOST]
        yield f"asks {_asked(ask)}; {_there_are(sizes)}"


def _too_much(pool: ScalarPool, amount: int) -> str:
    there = "there is" if pool.capacity == 1 else "there are"
    if pool.name == "cpu":
        there = "there is" if pool.capacity == CPU_UNIT else "there are"
        return f"asks {_cpus(amount)} CPU{'s' * (amount != CPU_UNIT)}, {there} {_cpus(pool.capacity)}"
    if pool.name in ("memory", "disk"):
        return f"asks {_asked_size(amount)} of {pool.name}, there are {_size(pool.capacity)}"
    if pool.capacity == 0:
        return f"asks {amount} of {pool.name}, and no such pool was declared (passloop config tells how)"
    every = " a minute" if pool.kind is PoolKind.RATE else ""
    return f"asks {amount} of {pool.name}{every}, {there} {pool.capacity}"


def _asked(ask: DeviceAsk) -> str:
    wants = f"{ask.count} whole GPU{'s' * (ask.count > 1)}" if ask.count else _share(ask)
    vram = f" with {_asked_size(ask.vram_mib)}" if ask.vram_mib else ""
    return f"{wants}{vram}{', of about the same size' if ask.balance else ''}"


def _share(ask: DeviceAsk) -> str:
    return f"a share of {ask.share / SHARE_WHOLE:g} of one GPU"


def _there_are(sizes: Sequence[int]) -> str:
    """How many GPUs there are of which sizes, the largest first."""
    if not sizes:
        return "there are no GPUs here"
    alike = sorted(Counter(sizes).items(), reverse=True)
    size, *others = dict(alike)
    said = f"there {'is' if len(sizes) == 1 else 'are'} {len(sizes)} GPU{'s' * (len(sizes) > 1)}"
    if not others:
        return f"{said} with {_size(size)}"
    return f"{said}: " + ", ".join(f"{number} with {_size(size)}" for size, number in alike)


def _cpus(milli: int) -> str:
    whole, part = divmod(milli, CPU_UNIT)
    return f"{whole}.{part:03d}".rstrip("0") if part else str(whole)


def _size(mib: int) -> str:
    """MiB in people's units, rounded down."""
    return f"{mib} MiB" if mib < GIB else _tenths(mib * 10 // GIB)


def _asked_size(mib: int) -> str:
    """MiB in people's units, rounded up: so what is too much is never told as the same number."""
    return f"{mib} MiB" if mib < GIB else _tenths(-(-mib * 10 // GIB))


def _tenths(tenths: int) -> str:
    whole, part = divmod(tenths, 10)
    return f"{whole}.{part} GiB" if part else f"{whole} GiB"

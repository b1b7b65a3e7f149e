"""What a task needs. A request is one or more variants in order of preference; a variant asks exact amounts.

The names of the built-in pools stand here; users declare others freely (`--need NAME=N`).
"""

from __future__ import annotations

from dataclasses import dataclass

from .amounts import SHARE_WHOLE
from .ids import CPU, DISK, GPU, MEMORY, NODE, PoolName

__all__ = ["CPU", "DISK", "GPU", "MEMORY", "NODE", "Allocation", "DeviceAsk", "Grant", "Request", "Variant"]


@dataclass(frozen=True, slots=True)
class DeviceAsk:
    """Either `count` whole devices, or one `share` (1/10,000, under a whole) of exactly one device.

    `vram_mib` is per device; for a share left at None it is the same fraction of the device it lands on, for whole
    devices None means "at least 80 % of the device must be usable". `balance` demands that the free VRAM of
    several whole devices lies within 80 % of each other.
    """

    count: int = 0
    share: int = 0
    vram_mib: int | None = None
    balance: bool = False

    def __post_init__(self) -> None:
        if (self.count > 0) == (self.share > 0) or self.count < 0 or not 0 <= self.share < SHARE_WHOLE:
            raise ValueError("ask for whole devices or for one share under 1, not both")
        if self.vram_mib is not None and self.vram_mib < 0:
            raise ValueError("VRAM cannot be negative")


@dataclass(frozen=True, slots=True)
class Variant:
    """One acceptable form of a request.

    `amounts` maps pool names to integers (CPU in 1/1,000, memory in MiB, limits in places, rates in units), sorted
    by name and without zeros. `exclusive` keeps every other run off the node from start to end.
    """

    devices: DeviceAsk | None = None
    amounts: tuple[tuple[PoolName, int], ...] = ()
    exclusive: bool = False

    def __post_init__(self) -> None:
        names = [name for name, _ in self.amounts]
        if names != sorted(set(names)) or any(amount <= 0 for _, amount in self.amounts):
            raise ValueError("amounts are positive, each pool once, sorted by name")


@dataclass(frozen=True, slots=True)
class Request:
    """What a task needs: variants in order of preference; it starts with the first that fits."""

    variants: tuple[Variant, ...]

    def __post_init__(self) -> None:
        if not self.variants:
            raise ValueError("a request has at least one variant")


@dataclass(frozen=True, slots=True)
class Grant:
    """What an attempt holds of one device: `share` in 1/10,000 and `vram_mib`."""

    uuid: str
    share: int
    vram_mib: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """The exact pieces given to an attempt, released exactly once."""

    variant: int
    devices: tuple[Grant, ...] = ()
    amounts: tuple[tuple[PoolName, int], ...] = ()
    exclusive: bool = False

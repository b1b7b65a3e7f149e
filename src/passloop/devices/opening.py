"""Opens the inventory that the settings ask for: virtual devices, or the real ones, less what is left out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .base import Inventory
from .choice import ChosenInventory, DeviceChoice
from .ownership import Holdings, Ownership, no_holdings
from .virtual import FOREIGN_VARIABLE, VARIABLE, VirtualInventory, parse_virtual

__all__ = ["open_inventory"]


def open_inventory(environ: Mapping[str, str], *, home_id: str = "", holdings: Holdings = no_holdings) -> Inventory:
    """The devices of this machine as this home sees them; no devices is an inventory with an `absent_reason`.

    Raises `BadDeviceSetting` and `UnknownDevice`, whose texts say which setting to correct.
    """
    inventory = _open(environ, Ownership(home_id, holdings))
    choice = DeviceChoice.from_environ(environ)
    return inventory if choice.everything else ChosenInventory(inventory, choice)


def _open(environ: Mapping[str, str], ownership: Ownership) -> Inventory:
    virtual = environ.get(VARIABLE, "").strip()
    if virtual:
        named = environ.get(FOREIGN_VARIABLE, "")
        foreign_file = Path(named) if named else None
        return VirtualInventory(parse_virtual(virtual), ownership=ownership, foreign_file=foreign_file)
    from .nvml import NvmlInventory  # NVML's wrapper is large; listings of virtual devices do without

    return NvmlInventory(ownership=ownership)

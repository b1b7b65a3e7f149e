"""Which devices passloop may use at all: an allow and a deny list, by UUID or index. Validated, never
ignored.

A device that is not allowed is not shown to the machine; it is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from passloop.kernel.events import DeviceSeen

from .base import Inventory, Sample
from .errors import UnknownDevice

__all__ = ["ALLOW_VARIABLE", "DENY_VARIABLE", "ChosenInventory", "DeviceChoice"]

ALLOW_VARIABLE = "PASSLOOP_GPUS_ALLOW"
DENY_VARIABLE = "PASSLOOP_GPUS_DENY"


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """UUIDs or indexes as the user wrote them. `allow` None = all; empty = none."""

    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> DeviceChoice:
        """Read both lists: UUIDs or indexes with commas between; `none` allows none, an unset or empty
        list all.
        """
        allow = environ.get(ALLOW_VARIABLE, "").strip()
        deny = environ.get(DENY_VARIABLE, "").strip()
        allowed = None if not allow else () if allow.lower() == "none" else _names(allow)
        return cls(allowed, () if deny.lower() == "none" else _names(deny))

    @property
    def everything(self) -> bool:
        """True when nothing is left out."""
        return self.allow is None and not self.deny

    def resolve(self, seen: Sequence[DeviceSeen], *, absent_reason: str = "") -> ResolvedChoice:
        """The choice by UUID. Raises `UnknownDevice` for what this machine does not have."""
        names = {str(device.index): device.uuid for device in seen} | {device.uuid: device.uuid for device in seen}
        known = ", ".join(f"{device.index} = {device.uuid}" for device in seen) or absent_reason or "none"
        allow = None if self.allow is None else _resolved(self.allow, names, ALLOW_VARIABLE, known)
        return ResolvedChoice(allow, _resolved(self.deny, names, DENY_VARIABLE, known))


@dataclass(frozen=True, slots=True)
class ResolvedChoice:
    """The choice as UUIDs. `allow` None = all that are not denied."""

    allow: frozenset[str] | None
    deny: frozenset[str]

    def admits(self, uuid: str) -> bool:
        """Whether the device may be used."""
        return uuid not in self.deny and (self.allow is None or uuid in self.allow)


class ChosenInventory:
    """An `Inventory` that shows only the chosen devices of another. Indexes stay as the machine numbers them.

    Looks once when made, to check the choice: raises `UnknownDevice`.
    """

    def __init__(self, inner: Inventory, choice: DeviceChoice) -> None:
        self._inner = inner
        self.virtual = inner.virtual
        seen = inner.look()
        self._choice = choice.resolve(seen, absent_reason=inner.absent_reason)
        self._left_out = bool(seen) and not any(self._choice.admits(device.uuid) for device in seen)

    @property
    def absent_reason(self) -> str:
        if self._left_out:
            return f"All GPUs are left out by {ALLOW_VARIABLE} or {DENY_VARIABLE}."
        return self._inner.absent_reason

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        return tuple(device for device in self._inner.look(uuids) if self._choice.admits(device.uuid))

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        return self._inner.samples([uuid for uuid in uuids if self._choice.admits(uuid)])

    def close(self) -> None:
        self._inner.close()


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _resolved(asked: Sequence[str], names: Mapping[str, str], setting: str, known: str) -> frozenset[str]:
    for name in asked:
        if name not in names:
            raise UnknownDevice(
                f"{setting} names the GPU {name!r}, which this machine does not have. It has: {known}. "
                "Name GPUs by index or by full UUID, as `passloop gpus` lists them."
            )
    return frozenset(names[name] for name in asked)

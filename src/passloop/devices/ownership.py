"""Tells whose processes hold a device: ours, a stray of ours, or foreign. It reads /proc; it never ends a
process.

A process is ours if itself or an ancestor is a live attempt's shim, or carries this home's
PASSLOOP_ATTEMPT_ID in its environment (as it was at exec; a program that overwrites it is found by descent
alone). An attempt that the engine no longer lists as live makes it a stray. A live attempt on a device that
it was not given counts as foreign there: that device is not free.

Memory: what foreign and graphics processes use is not usable. Use that no process accounts for is explained
first by the driver's own reserve, then by what our live attempts on the device were granted (drivers hide
processes of other pid namespaces, and contexts cost more than is attributed); the rest is taken as foreign.

A pid that is not visible in /proc: in the initial pid namespace it is foreign if the kernel knows it (hidden), and
counts as nobody if not (it ended since; memory it left behind is unaccounted for). In a container it may be our own
under its outer number: where an attempt of ours holds the device it is taken as ours, else as foreign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from passloop.kernel.events import DeviceSeen, Foreign

from .base import ProcessUse, Reading
from .procfs import ProcessTable, Stat

__all__ = ["ATTEMPT_VARIABLE", "Holding", "Holdings", "Ownership", "no_holdings"]

ATTEMPT_VARIABLE = "PASSLOOP_ATTEMPT_ID"
"""Set for every attempt to "<home id>-<attempt id>"."""

DEEPEST = 128
"""Ancestors looked at; a longer chain is cut."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A live attempt. `shim` is its pid (0 not known yet), `shim_ticks` its start time (0 not known).

    `devices` are the (UUID, VRAM in MiB) that it was given. For a lease held by code, the shim is that
    process. `named` is the attempt that its processes go by, where that is another (0 if not): those of a
    warm worker go by the one that started it, whichever they serve.
    """

    attempt: int
    shim: int = 0
    shim_ticks: int = 0
    devices: tuple[tuple[str, int], ...] = ()
    named: int = 0


Holdings = Callable[[], Sequence[Holding]]
"""Gives the live attempts as a frozen snapshot; called from whichever thread looks at devices."""


def no_holdings() -> Sequence[Holding]:
    """Nobody holds anything: for listings without an engine."""
    return ()


class _Whose(Enum):
    OURS = auto()
    STRAY = auto()
    TRESPASS = auto()
    FOREIGN = auto()
    NOBODY = auto()


@dataclass(frozen=True, slots=True)
class _Verdict:
    whose: _Whose
    attempt: int = 0
    other_home: str = ""


class Ownership:
    """Judges readings for one home. `home_id` is the prefix of its attempts' PASSLOOP_ATTEMPT_ID."""

    def __init__(
        self, home_id: str = "", holdings: Holdings = no_holdings, *, processes: ProcessTable | None = None
    ) -> None:
        self._home_id = home_id
        self._holdings = holdings
        self._processes = processes or ProcessTable()
        self._nested = self._processes.nested()

    def judge(self, reading: Reading) -> DeviceSeen:
        """What the kernel should know of this device."""
        view = _View(self._home_id, tuple(self._holdings()), self._processes, nested=self._nested)
        judged = [(use, view.verdict(use.pid, reading.uuid)) for use in reading.compute]
        compute = [(use, verdict) for use, verdict in judged if verdict.whose is not _Whose.NOBODY]
        strays = {verdict.attempt for _, verdict in compute if verdict.whose is _Whose.STRAY}
        foreign = [
            self._foreign(use, verdict)
            for use, verdict in compute
            if verdict.whose in (_Whose.FOREIGN, _Whose.TRESPASS)
        ]
        ours_mib = _total(use for use, verdict in compute if verdict.whose in (_Whose.OURS, _Whose.STRAY))
        foreign_mib = _others_mib(reading, compute, ours_mib, granted=view.granted_mib(reading.uuid))
        told_mib = sum(told.vram_mib for told in reading.told)
        return DeviceSeen(
            uuid=reading.uuid,
            index=reading.index,
            name=reading.name,
            vram_mib=reading.vram_mib,
            usable_mib=max(0, reading.vram_mib - foreign_mib - told_mib),
            utilisation=reading.utilisation,
            foreign=tuple(sorted((*foreign, *reading.told), key=lambda one: one.pid)),
            strays=tuple(sorted(strays.union(reading.strays))),
            fault=reading.fault,
            numa=reading.numa,
            links=reading.links,
            virtual=reading.virtual,
        )

    def _foreign(self, use: ProcessUse, verdict: _Verdict) -> Foreign:
        name = self._processes.name(use.pid) or "process not visible here"
        if verdict.whose is _Whose.TRESPASS:
            name = f"{name} (attempt {verdict.attempt} of this home, which was not given this device)"
        elif verdict.other_home:
            name = f"{name} (passloop home {verdict.other_home})"
        return Foreign(use.pid, self._processes.user(use.pid), name, use.used_mib or 0)


class _View:
    """One look: the live attempts as they are now, and each process's ancestors read at most once."""

    def __init__(self, home_id: str, holdings: tuple[Holding, ...], processes: ProcessTable, *, nested: bool) -> None:
        self._home_id = home_id
        self._live = {holding.attempt: holding for holding in holdings}
        self._live |= {holding.named: holding for holding in holdings if holding.named}
        self._processes = processes
        self._nested = nested
        self._stats: dict[int, Stat | None] = {}

    def granted_mib(self, uuid: str) -> int:
        """VRAM in MiB that those of our live attempts that have started were given on this device."""
        started = (holding for name, holding in self._live.items() if holding.shim and name == holding.attempt)
        return sum(mib for holding in started for given, mib in holding.devices if given == uuid)

    def verdict(self, pid: int, uuid: str) -> _Verdict:
        """Whose this process is on this device: the nearest ancestor that is known decides."""
        chain = self._ancestors(pid)
        if not chain:
            return _Verdict(self._whose_hidden(pid, uuid))
        nearest = _Verdict(_Whose.FOREIGN)
        for one, stat in chain:
            found = self._verdict_at(one, stat, uuid)
            if found.whose is _Whose.OURS or (found.whose is _Whose.STRAY and nearest.whose is _Whose.FOREIGN):
                return found
            if nearest == _Verdict(_Whose.FOREIGN):
                nearest = found
        return nearest

    def _whose_hidden(self, pid: int, uuid: str) -> _Whose:
        """Whose a process is that is not visible in /proc."""
        if self._nested:
            return _Whose.OURS if self.granted_mib(uuid) > 0 else _Whose.FOREIGN
        return _Whose.FOREIGN if self._processes.exists(pid) else _Whose.NOBODY

    def _verdict_at(self, pid: int, stat: Stat, uuid: str) -> _Verdict:
        """What this one process says of itself, its ancestors apart."""
        name = self._processes.variable(pid, ATTEMPT_VARIABLE) or ""
        home, _, number = name.rpartition("-")
        named = int(number) if home == self._home_id and home and number.isdecimal() else 0
        holders = self._shims_at(pid, stat)
        if named in self._live:
            holders.append(self._live[named])
        if any(self._given(holding, uuid) for holding in holders):
            return _Verdict(_Whose.OURS)
        if holders:
            return _Verdict(_Whose.TRESPASS, holders[0].attempt)
        if named:
            return _Verdict(_Whose.STRAY, named)
        return _Verdict(_Whose.FOREIGN, other_home=home[:16])

    @staticmethod
    def _given(holding: Holding, uuid: str) -> bool:
        return any(given == uuid for given, _ in holding.devices)

    def _shims_at(self, pid: int, stat: Stat) -> list[Holding]:
        return [
            holding
            for holding in self._live.values()
            if holding.shim == pid and holding.shim_ticks in (0, stat.start_ticks)
        ]

    def _ancestors(self, pid: int) -> list[tuple[int, Stat]]:
        """The process and its visible ancestors, nearest first; empty when it is not visible here."""
        chain: list[tuple[int, Stat]] = []
        while pid > 0 and len(chain) < DEEPEST:
            stat = self._stat(pid)
            if stat is None:
                break
            chain.append((pid, stat))
            pid = stat.parent
        return chain

    def _stat(self, pid: int) -> Stat | None:
        if pid not in self._stats:
            self._stats[pid] = self._processes.stat(pid)
        return self._stats[pid]


def _total(uses: Iterable[ProcessUse]) -> int:
    return sum(use.used_mib or 0 for use in uses)


def _others_mib(reading: Reading, compute: list[tuple[ProcessUse, _Verdict]], ours_mib: int, *, granted: int) -> int:
    """VRAM in MiB that is not ours: foreign and graphics processes, and what nothing explains."""
    compute_pids = {use.pid for use, _ in compute}
    graphics_mib = _total(use for use in reading.graphics if use.pid not in compute_pids)
    named_mib = _total(use for use, _ in compute) - ours_mib + graphics_mib
    unexplained = max(0, reading.used_mib - ours_mib - named_mib - reading.reserve_mib)
    return named_mib + max(0, unexplained - max(0, granted - ours_mib))

"""A candidate: one evaluated parameter set with all that follows from it (argv, variables, GPUs, memory, hash), or the
reason why it cannot be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from passloop.apps.errors import BadValue
from passloop.apps.expressions import Condition, Formula
from passloop.apps.text import shown

from .argv import LaunchMaker
from .families import Family
from .identity import hash_of
from .records import Params, Value
from .space import Space
from .vram import Memory, Peak, vram_mib

__all__ = ["Box", "Candidate", "CandidateMaker"]


@dataclass(frozen=True, slots=True)
class Box:
    """What the machine has: how many GPUs, and the memory of the largest in MiB; None is not known."""

    gpus: int | None = None
    largest_mib: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate. `params` are the sampler's own, `values` all that follows from them. `vram_mib` is per GPU; None
    leaves it open. `excluded` says that a constraint of the spec leaves it out; `invalid` why it cannot run, `fix` what
    to do about that.
    """

    params: Params
    values: Params
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    gpus: int = 0
    vram_mib: int | None = None
    cpus_milli: int = 1_000
    mem_mib: int | None = None
    hash: str = ""
    invalid: str | None = None
    fix: str = ""
    excluded: bool = False

    @property
    def same(self) -> tuple[object, ...]:
        """What makes it equal to another."""
        return self.argv, tuple(sorted((self.env or {}).items())), self.gpus, self.cpus_milli


@dataclass(frozen=True, slots=True)
class CandidateMaker:
    """Makes the candidates of one study. `gpus` are formulas, each with the condition under which it counts. `python`
    is what `{python}` became, so that the hash does not depend on where it is.
    """

    space: Space
    family: Family
    launches: LaunchMaker
    constraints: tuple[Condition, ...]
    rules: tuple[tuple[Condition, str], ...]
    gpus: tuple[tuple[Condition | None, Formula], ...]
    facts: Params
    memory: Memory
    cpus_milli: int
    mem_mib: int | None
    python: str
    box: Box = Box()

    def candidate(self, params: Mapping[str, Value], peaks: Iterable[Peak] = ()) -> Candidate:
        """The candidate of these parameters; those that are not active are left out of it."""
        try:
            active, values = self.space.active(params), self.space.values(params)
        except BadValue as bad:
            return Candidate(dict(params), {}, invalid=bad.what, fix=bad.fix)
        wrong = self.space.wrong(active)
        if wrong is not None:
            return Candidate(active, values, invalid=wrong)
        known = {**self.facts, **self.family.defaults, **values}
        try:
            excluded = self._excluded(known)
            if excluded is not None:
                return Candidate(active, values, invalid=excluded, fix="see `constraints`", excluded=True)
            return self._made(active, values, known, peaks)
        except BadValue as bad:
            return Candidate(active, values, invalid=bad.what, fix=bad.fix)

    def _made(self, active: Params, values: Params, known: Params, peaks: Iterable[Peak]) -> Candidate:
        launch = self.launches.launch(values)
        gpus = self._gpus(known)
        vram = vram_mib(self.memory, self.family, known, gpus, peaks) if gpus else None
        plain = ["{python}" if each == self.python else each for each in launch.argv]
        told = hash_of(plain, launch.env, gpus=gpus, cpus_milli=self.cpus_milli)
        return Candidate(
            params=active,
            values=values,
            argv=launch.argv,
            env=launch.env,
            gpus=gpus,
            vram_mib=vram,
            cpus_milli=self.cpus_milli,
            mem_mib=self.mem_mib,
            hash=told,
            invalid=self._broken(known) or self._too_large(gpus, vram) or self._nothing(gpus),
        )

    def _excluded(self, known: Params) -> str | None:
        for each in self.constraints:
            if each.names <= known.keys() and not each.holds(known):
                return f"the constraint {shown(each.text)} does not hold"
        return None

    def _broken(self, known: Params) -> str | None:
        for rule, why in self.rules:
            if rule.names <= known.keys() and not rule.holds(known):
                told = ", ".join(f"{name} is {known[name]}" for name in sorted(rule.names))
                return f"{why}; {told}"
        return None

    def _gpus(self, known: Params) -> int:
        for condition, formula in self.gpus:
            if condition is not None and not condition.holds(known):
                continue
            missing = formula.names - known.keys()
            if missing:
                what = f"gpus needs {shown(min(missing))}, which is left out here"
                raise BadValue(what, "give it a default, or a value in `fixed`")
            try:
                count = formula.value(known)
            except BadValue as bad:
                raise BadValue(bad.what, "change `resources.gpus`") from None
            if count != int(count) or count < 0:
                raise BadValue(f"{shown(formula.text)} is {count:g}: no number of GPUs", "write whole numbers")
            return int(count)
        return 0

    def _too_large(self, gpus: int, vram: int | None) -> str | None:
        if self.box.gpus is not None and gpus > self.box.gpus:
            return f"it needs {gpus} GPUs and there are {self.box.gpus}"
        if vram is not None and gpus and self.box.largest_mib is not None and vram > self.box.largest_mib:
            return f"it needs {vram:,} MiB of each GPU and the largest has {self.box.largest_mib:,}"
        return None

    def _nothing(self, gpus: int) -> str | None:
        return None if gpus or self.cpus_milli else "it asks for neither GPUs nor CPUs, and a trial is a process"

"""What a task asks for, as people write it (options, `--or`, the spec's `resources`) -> variants as plain data.

The rule of what is charged when nothing is said stands here and nowhere else: a task that asks for neither
GPUs nor CPUs takes 1 CPU, whatever memory it asks for; one that asks for GPUs and no CPUs has its CPU not
counted; memory is counted only if asked for. A further variant (`--or`) says only what differs from the first
form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown
from passloop.apps.units import GpuAsk, cpus_milli, gpu_ask, size_mib, whole_number
from passloop.kernel.amounts import CPU_UNIT
from passloop.kernel.ids import CPU, DISK, GPU, MEMORY, NODE

from .documents import Document

__all__ = ["Ask", "need_amount", "read_ask", "read_need", "variant_of"]

POOL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.:/-]{0,99}")
OWN_OPTION: dict[str, str] = {
    GPU: "gpus",
    CPU: "cpus",
    MEMORY: "mem",
    NODE: "nothing: the node is not asked for by name",
}


NOTHING: Mapping[str, int] = MappingProxyType({})


class Ask(NamedTuple):
    """What was said for one variant; None = not said. CPUs in 1/1,000, sizes in MiB, `need` by pool name."""

    gpus: GpuAsk | None = None
    vram: int | None = None
    cpus: int | None = None
    mem: int | None = None
    balance: bool = False
    need: Mapping[str, int] = NOTHING

    def differing(self, said: Mapping[str, Any]) -> Ask:
        """This with what `said` changes, by field. Without GPUs this one's VRAM and balance fall away."""
        kept = self
        gpus = said.get("gpus")
        if gpus is not None:
            kept = kept._replace(vram=kept.vram if any(gpus) else None, balance=kept.balance and gpus.whole > 1)
        need = {**kept.need, **said.get("need", {})}
        return kept._replace(**{**said, "need": need})


def variant_of(ask: Ask) -> Document:
    """The variant of `ask` in a submission, with what is charged when nothing is said. Raises `BadValue`."""
    gpus = ask.gpus or GpuAsk(0, 0)
    wants_gpu = gpus.whole > 0 or gpus.share > 0
    if ask.vram is not None and not wants_gpu:
        raise BadValue("VRAM is asked for without a GPU", "add gpus: 1 (--gpus 1), or drop the VRAM")
    if ask.balance and gpus.whole < 2:
        raise BadValue("balance is asked for with fewer than two GPUs", "drop it, or ask for two GPUs or more")
    cpus = ask.cpus if ask.cpus is not None else (0 if wants_gpu else CPU_UNIT)
    amounts: dict[str, int] = {CPU: cpus, MEMORY: ask.mem or 0, **ask.need}
    variant: Document = {"amounts": {name: amounts[name] for name in sorted(amounts) if amounts[name] > 0}}
    if wants_gpu:
        variant |= {"gpus": gpus.whole, "share": gpus.share, "vram_mib": ask.vram, "balance": ask.balance}
    return variant


def need_amount(name: str, value: object) -> int:
    """The amount asked of pool `name`: a whole number, or a size for `disk`. Raises `BadValue`."""
    if not POOL_NAME.fullmatch(name):
        raise BadValue(f"the pool name {shown(name)} is not a name", "use letters, digits and _ . : / -")
    if name in OWN_OPTION:
        raise BadValue(f"{shown(name)} is not asked for by need", f"use {OWN_OPTION[name]}")
    return size_mib(value) if name == DISK else whole_number(value)


def read_need(text: str) -> tuple[str, int]:
    """One `--need NAME=N`. Raises `BadValue`."""
    name, equals, amount = text.partition("=")
    if not equals:
        raise BadValue(f"the need {shown(text)} has no amount", "write NAME=N, for example --need licence=1")
    return name.strip(), need_amount(name.strip(), amount)


def read_ask(text: str, base: Ask) -> Ask:
    """A further variant `gpus=0,cpus=16`: what it does not say it takes from `base`. Raises `BadValue`."""
    said: dict[str, Any] = {}
    needs: dict[str, int] = {}
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not name:
            raise BadValue(f"the variant {shown(text)} is not readable", 'write it as --or "gpus=0,cpus=16"')
        if name in said or name in needs:
            raise BadValue(f"the variant {shown(text)} says {shown(name)} twice", "say it once")
        meant = _meant(name)
        if meant is not None:
            what = f"the variant {shown(text)} asks for {shown(name)}, which is no name here"
            raise BadValue(what, f"did you mean `{meant}`?")
        if name in READERS:
            said[name] = READERS[name](value)
        else:
            needs[name] = need_amount(name, value)
    return base.differing({**said, "need": needs} if needs else said)


def _meant(name: str) -> str | None:
    """The part of a variant that was meant by a name that comes close: a pool's own, one s more or less."""
    own = OWN_OPTION.get(name)
    if own in READERS:
        return own
    near = (known for known in READERS if known != name and known.removesuffix("s") == name.removesuffix("s"))
    return next(near, None)


def _yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadValue(f"balance is {shown(text)}", did_you_mean(text, ("true", "false")))
    return text == "true"


READERS: dict[str, Callable[[str], Any]] = {
    "gpus": gpu_ask,
    "vram": size_mib,
    "cpus": cpus_milli,
    "mem": size_mib,
    "balance": _yes_or_no,
}

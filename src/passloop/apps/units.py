"""Durations, sizes, GPU and CPU counts as people write them -> exact integers, and back. No float arithmetic
happens here.

Every reader takes what a command line or a YAML file gives (text or a number) and raises `BadValue`, which
names the text and the accepted forms. Sizes are binary (`GiB`) or decimal (`GB` = 1,000,000,000 bytes) and
are rounded up to whole MiB, so that never less is granted than was asked; the ambiguous `20G` and a size
without a unit are refused.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from passloop.kernel.amounts import CPU_UNIT, SHARE_WHOLE

from .errors import BadValue
from .text import shown

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = [
    "GpuAsk",
    "cpus_milli",
    "cpus_text",
    "duration_ms",
    "duration_text",
    "gpu_ask",
    "size_mib",
    "size_text",
    "whole_number",
]

DURATION_FORMS = "write a duration such as 500ms, 30s, 10m, 2h, 1d, 0, or a plain number of seconds"
SIZE_FORMS = "write a size with its unit, such as 512MiB, 20GiB or 20GB"
GPU_FORMS = "write a whole number of GPUs such as 2, or a share of one GPU such as 0.5"
CPU_FORMS = "write a number of CPUs such as 4 or 0.5"

LONGEST_MS = 3_650 * 86_400_000
"""Ten years in ms."""
LARGEST_MIB = 2**30
"""One PiB in MiB."""
MOST_GPUS = 65_536
MOST_CPUS = 1_000_000
MOST_NEED = 10**12
LONGEST_TEXT = 40

NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?|\.[0-9]+")
WITH_UNIT = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s?([A-Za-z]+)")
MILLIS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
BYTES = {
    "b": 1,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
}


class GpuAsk(NamedTuple):
    """Either `whole` whole GPUs or one `share` in 1/10,000 of a single GPU; both 0 means none."""

    whole: int
    share: int


def duration_ms(value: object) -> int:
    """A duration in ms: `500ms`, `30s`, `10m`, `2h`, `1d`, `0` or plain seconds; at most ten years."""
    number, unit = _number_and_unit(value, what="duration", fix=DURATION_FORMS)
    if unit not in MILLIS and unit:
        _refuse(value, what="duration", why=f"has the unknown unit {shown(unit)}", fix=DURATION_FORMS)
    millis = number * MILLIS[unit or "s"]
    if millis > LONGEST_MS:
        _refuse(value, what="duration", why="is longer than ten years", fix="write a shorter one, such as 30d")
    if millis != int(millis):
        _refuse(value, what="duration", why="is finer than a millisecond", fix=DURATION_FORMS)
    return int(millis)


def duration_text(millis: int) -> str:
    """A duration in ms as `duration_ms` reads it, in the largest unit that is exact: `30s`, `90m`, `1500ms`."""
    for unit in ("d", "h", "m", "s"):
        if millis and millis % MILLIS[unit] == 0:
            return f"{millis // MILLIS[unit]}{unit}"
    return f"{millis}ms" if millis else "0"


def size_text(mib: int) -> str:
    """A size in MiB as `size_mib` reads it: `20GiB`, `1536MiB`."""
    return f"{mib // 1024}GiB" if mib and mib % 1024 == 0 else f"{mib}MiB"


def cpus_text(milli: int) -> str:
    """CPUs in 1/1,000 as `cpus_milli` reads them: `16`, `0.5`."""
    whole, part = divmod(milli, CPU_UNIT)
    return f"{whole}.{part:03}".rstrip("0") if part else str(whole)


def size_mib(value: object) -> int:
    """A size in MiB, rounded up; at most 1 PiB. `GiB` is binary, `GB` decimal; a lone `0` needs no unit."""
    number, unit = _number_and_unit(value, what="size", fix=SIZE_FORMS)
    if number == 0 and not unit:
        return 0
    if unit.lower() in {"k", "m", "g", "t"}:
        fix = f"write {unit.upper()}iB (binary) or {unit.upper()}B (decimal)"
        _refuse(value, what="size", why="could be binary or decimal", fix=fix)
    if unit.lower() not in BYTES:
        why = f"has the unknown unit {shown(unit)}" if unit else "has no unit"
        _refuse(value, what="size", why=why, fix=SIZE_FORMS)
    count = number * BYTES[unit.lower()] / BYTES["mib"]
    if count > LARGEST_MIB:
        _refuse(value, what="size", why="is more than 1 PiB", fix=SIZE_FORMS)
    return math.ceil(count)


def gpu_ask(value: object) -> GpuAsk:
    """Whole GPUs (`2`) or a share of one (`0.5`); `1.5` is refused: a share never straddles devices."""
    number = _plain_number(value, what="GPU count", fix=GPU_FORMS)
    if number == int(number):
        if number > MOST_GPUS:
            _refuse(value, what="GPU count", why="is too large", fix=GPU_FORMS)
        return GpuAsk(int(number), 0)
    if number > 1:
        fix = f"ask for {int(number)} or {int(number) + 1} whole GPUs, or for a share under 1"
        _refuse(value, what="GPU count", why="is more than one GPU but not whole", fix=fix)
    share = number * SHARE_WHOLE
    if share != int(share):
        _refuse(value, what="GPU share", why="is finer than 1/10,000", fix=GPU_FORMS)
    return GpuAsk(0, int(share))


def cpus_milli(value: object) -> int:
    """CPUs in 1/1,000: `4` is 4,000, `0.5` is 500."""
    number = _plain_number(value, what="CPU count", fix=CPU_FORMS)
    if number > MOST_CPUS:
        _refuse(value, what="CPU count", why="is too large", fix=CPU_FORMS)
    milli = number * CPU_UNIT
    if milli != int(milli):
        _refuse(value, what="CPU count", why="is finer than 1/1,000", fix=CPU_FORMS)
    return int(milli)


def whole_number(value: object) -> int:
    """A count of zero or more, such as what is asked of a declared pool."""
    fix = "write a whole number such as 4"
    number = _plain_number(value, what="count", fix=fix)
    if number != int(number) or number > MOST_NEED:
        _refuse(value, what="count", why="is not a whole number of a sensible size", fix=fix)
    return int(number)


def _plain_number(value: object, *, what: str, fix: str) -> Fraction:
    number, unit = _number_and_unit(value, what=what, fix=fix)
    if unit:
        _refuse(value, what=what, why="is not a number", fix=fix)
    return number


def _number_and_unit(value: object, *, what: str, fix: str) -> tuple[Fraction, str]:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(value, what=what, fix=fix), ""
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        _refuse(value, what=what, why="is not readable", fix=fix)
    text = value.strip(" ")
    if NUMBER.fullmatch(text):
        return _fraction(text), ""
    match = WITH_UNIT.fullmatch(text)
    if match is None:
        _refuse(value, what=what, why="is negative" if text.startswith("-") else "is not readable", fix=fix)
    return _fraction(match.group(1)), match.group(2)


def _of_number(value: float, *, what: str, fix: str) -> Fraction:
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(value, what=what, why="is not a finite number", fix=fix)
    if value < 0:
        _refuse(value, what=what, why="is negative", fix=fix)
    if value > 1e18:
        _refuse(value, what=what, why="is too large", fix=fix)
    return _fraction(repr(value))


def _fraction(text: str) -> Fraction:
    from fractions import Fraction  # here, because a submission without numbers should not pay for it

    return Fraction(text)


def _refuse(value: object, *, what: str, why: str, fix: str) -> NoReturn:
    raise BadValue(f"the {what} {shown(value)} {why}", fix)

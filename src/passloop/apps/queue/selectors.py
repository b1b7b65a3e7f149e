"""Selectors: the words by which people name tasks, read into one frozen `Selection`. Nothing is looked up
here.

Several words widen by place (ids, ranges, runs, `last`) and narrow by property: `@digits 7 state:failed`
means the failed ones among task 7 and the tasks of run digits. Several values of one property widen it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from passloop.apps.errors import BadValue, Problem, SpecError, did_you_mean
from passloop.apps.text import UNSAFE, shown
from passloop.kernel.tasks import TaskState

__all__ = ["Selection", "parse_selectors"]

LARGEST_ID = 2**62
LONGEST = 600
STATES = tuple(state.value for state in TaskState)
EVERYTHING = ("all", "*")
"""Nobody means what ended years ago by these; what lives is named by its states."""
ALL_FORMS = "name states, as many as you mean: state:ready state:running; or a group or a run: group:NAME, @RUN"
FORMS = "use 12, 12-40, last, @RUN, state:failed, class:out_of_memory, key:GLOB or group:NAME"


@dataclass(frozen=True, slots=True)
class Selection:
    """What was named: id ranges (both ends included), the newest task, runs by name or id, and conditions.

    `classes` are outcome classes or task classes, `keys` globs; a group means those inside it too.
    """

    ids: tuple[tuple[int, int], ...] = ()
    last: bool = False
    runs: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether nothing was named, which means every task."""
        return self == Selection()


def parse_selectors(words: Iterable[str]) -> Selection:
    """Read selectors; commas separate them too. Raises `SpecError` (exit 2) naming each that cannot be read."""
    found: dict[str, list[object]] = {name: [] for name in Selection.__dataclass_fields__}
    problems: list[Problem] = []
    for word in words:
        for part in _parts(word):
            try:
                field, value = _read(part)
                found[field].append(value)
            except BadValue as bad:
                problems.append(Problem(bad.what, bad.fix, "selector"))
    if problems:
        raise SpecError(problems, next_command="passloop ls")
    values = {name: tuple(dict.fromkeys(found[name])) for name in found if name != "last"}
    return Selection(last=bool(found["last"]), **values)  # type: ignore[arg-type]


def _parts(word: str) -> list[str]:
    """Lists of ids may be written with commas; a key, a name or a class may hold one."""
    if ":" in word or word.startswith("@"):
        return [word]
    return word.split(",")


def _read(word: str) -> tuple[str, object]:
    if not word or len(word) > LONGEST or UNSAFE.search(word):
        raise BadValue(f"the selector {shown(word)} is not readable", FORMS)
    if word in EVERYTHING:
        raise BadValue(f"there is no selector {shown(word)} for everything", ALL_FORMS)
    if word == "last":
        return "last", True
    if word.startswith("@"):
        return "runs", _said(word[1:], word)
    kind, colon, value = word.partition(":")
    if colon:
        return _property(kind, value, word)
    return "ids", _range(word)


def _property(kind: str, value: str, word: str) -> tuple[str, object]:
    reader = PROPERTIES.get(kind)
    if reader is None:
        fix = did_you_mean(kind, PROPERTIES)
        raise BadValue(f"the selector {shown(word)} has the unknown kind {shown(kind)}", fix)
    field, read = reader
    return field, read(value, word)


def _range(word: str) -> tuple[int, int]:
    first, dash, last = word.partition("-")
    low, high = _id(first, word), _id(last if dash else first, word)
    if high < low:
        raise BadValue(f"the selector {shown(word)} runs backwards", f"write {high}-{low}")
    return low, high


def _id(text: str, word: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 19 or not 0 < int(text) < LARGEST_ID:
        raise BadValue(f"the selector {shown(word)} is not readable", FORMS)
    return int(text)


def _said(value: str, word: str) -> str:
    if not value:
        raise BadValue(f"the selector {shown(word)} names nothing", FORMS)
    return value


def _state(value: str, word: str) -> str:
    if value not in STATES:
        several = value.split(",")
        if len(several) > 1 and set(several) <= set(STATES):
            raise BadValue(
                f"the selector {shown(word)} names several states", " ".join(f"state:{each}" for each in several)
            )
        raise BadValue(f"the selector {shown(word)} names no state", did_you_mean(value, STATES))
    return value


PROPERTIES: dict[str, tuple[str, Callable[[str, str], str]]] = {
    "state": ("states", _state),
    "class": ("classes", _said),
    "key": ("keys", _said),
    "group": ("groups", _said),
    "run": ("runs", _said),
}

"""The options of `run` and `submit` as a table, and a reader of them that needs no library.

`submit` is called in loops by scripts; reading its options here spares each call the import of click. Whatever is not
plainly one of these forms (help, a typing slip, an abbreviation) is left to click, which explains it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["COMMON_OPTIONS", "ENGINE_OPTIONS", "SUBMIT_OPTIONS", "TASK_OPTIONS", "Option", "Read", "read_words"]


LONGEST_NUMBER = 18
"""Digits; Python refuses to read some thousands, and click says why."""


class Option(NamedTuple):
    """One option. `kind` is text, many (may be repeated), whole (an integer) or flag."""

    field: str
    flags: tuple[str, ...]
    metavar: str
    help: str
    kind: str = "text"
    default: Any = None

    @property
    def unsaid(self) -> Any:
        """Its value when nothing is said."""
        return {"many": (), "flag": False}.get(self.kind, self.default)


TASK_OPTIONS = (
    Option("gpus", ("-g", "--gpus"), "N", "Whole GPUs (2) or a share of one (0.5)."),
    Option("vram", ("--vram",), "SIZE", "VRAM per GPU, such as 20GiB."),
    Option("cpus", ("--cpus",), "N", "CPUs, such as 4 or 0.5."),
    Option("mem", ("--mem",), "SIZE", "Host memory, enforced."),
    Option("balance", ("--balance",), "", "The GPUs' free VRAM must be about equal.", "flag"),
    Option("need", ("--need",), "NAME=N", "An amount of a declared pool.", "many"),
    Option("or_variants", ("--or",), "VARIANT", 'Or this: "gpus=0,cpus=16".', "many"),
    Option("name", ("--name",), "NAME", "A name for people."),
    Option("group", ("--group",), "GROUP", "The group to queue in.", "text", "default"),
    Option("key", ("--key",), "KEY", "Same key again: a live or succeeded task is returned."),
    Option("after", ("--after",), "ID[,ID]", "Start when these have succeeded: ids, @RUN or last.", "many"),
    Option("after_any", ("--after-any",), "ID[,ID]", "Start when these have ended, however they did.", "many"),
    Option("deadline", ("--deadline",), "SPAN", "Give up if it does not run by then."),
    Option("priority", ("--priority",), "N", "Higher goes first.", "whole", 0),
    Option("time_limit", ("--time-limit",), "SPAN", "End each attempt after this, such as 2h."),
    Option("grace", ("--grace",), "SPAN", "Between asking to stop and killing (30s)."),
    Option("retries", ("--retries",), "N", "Try again after failures."),
    Option("patience", ("--patience",), "SPAN", "How long it waits before room is kept for it."),
    Option("env", ("--env",), "K[=V]", "A variable; K alone takes yours.", "many"),
    Option("cwd", ("--cwd",), "DIRECTORY", "Where it runs (here)."),
    Option("array", ("--array",), "1-100", "One task per index; {index} is replaced."),
    Option("max_parallel", ("--max-parallel",), "N", "At most so many of this name run at once."),
    Option("each_line", ("--each-line",), "FILE", "One task per line (-: of stdin); {line} is replaced."),
    Option("snapshot", ("--snapshot",), "", "Run a copy of the directory as it is now.", "flag"),
    Option("wait_for_capacity", ("--wait-for-capacity",), "", "Wait even for what does not fit here yet.", "flag"),
)
ENGINE_OPTIONS = (
    Option("virtual_gpus", ("--virtual-gpus",), "4x80GiB", "Pretend GPUs instead of the real ones."),
    Option("cpus_total", ("--cpus-total",), "N", "The size of the CPU pool."),
)
SUBMIT_OPTIONS = (
    *TASK_OPTIONS,
    Option("held", ("--hold",), "", "Held until `passloop release`.", "flag"),
    *ENGINE_OPTIONS,
    Option("as_json", ("--json",), "", "One JSON document on stdout.", "flag"),
)
COMMON_OPTIONS = (Option("home", ("--home",), "DIRECTORY", "Where everything is kept."),)


class Read(NamedTuple):
    """What was read: a value for every option, and the words of the command."""

    values: dict[str, Any]
    words: tuple[str, ...]


def read_words(words: Iterable[str], options: Iterable[Option]) -> Read | None:
    """Read options up to the first other word or `--`; None where click had better look."""
    table = {flag: option for option in options for flag in option.flags}
    values = {option.field: option.unsaid for option in table.values()}
    left = iter(words)
    for word in left:
        if word == "--":
            return Read(values, tuple(left))
        if not word.startswith("-") or word == "-":
            return Read(values, (word, *left))
        if not _take(word, left, table, values):
            return None
    return Read(values, ())


def _take(word: str, left: Iterator[str], table: Mapping[str, Option], values: dict[str, Any]) -> bool:
    """Read one option and its value into `values`; False if it is in no plain form."""
    flag, joined, value = word.partition("=") if word.startswith("--") else (word, "", "")
    option = table.get(flag)
    if option is None or (option.kind == "flag" and joined):
        return False
    if option.kind == "flag":
        values[option.field] = True
        return True
    given = value if joined else next(left, None)
    if given is None or (not joined and given.startswith("-")):
        return False
    return _keep(option, given, values)


def _keep(option: Option, given: str, values: dict[str, Any]) -> bool:
    if option.kind == "many":
        values[option.field] += (given,)
    elif option.kind == "whole":
        if not given.isdecimal() or len(given) > LONGEST_NUMBER:
            return False
        values[option.field] = int(given)
    else:
        values[option.field] = given
    return True

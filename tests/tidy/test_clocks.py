"""Who reads the wall clock, which jumps: a few named places, each with the reason why a jump does no harm there.

P10 plays jumps on simulated drivers; that the true ones (a shim with its time limit and grace) go by the monotonic
clock is held here.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tidy.source import PACKAGE, dotted, parse, python_files

READ = {
    "clock.py": {
        "time.time_ns": (1, "the one clock: engine time starts there, or where it was stored, and never by it again")
    },
    "cli/spans.py": {
        "time.time_ns": (2, "how long ago or until when, for a person, never negative"),
        "time.time": (1, "the time of day in so many ms, for a person"),
    },
    "cli/checks/system.py": {
        "time.gmtime": (1, "`doctor` looks whether the clock is absurd"),
        "time.strftime": (1, "the same"),
    },
    "cli/crash.py": {"time.strftime": (1, "the name of a file about a mistake in passloop")},
    "drivers/processes/keeper/records.py": {"time.time_ns": (1, "`wall_ms`, see below")},
    "testing/endpoint.py": {"time.time": (1, "a date in Retry-After, as endpoints say it")},
}
"""Which files of the package read the system's wall clock: by what, how often, and why."""

ASKED = {
    "drivers/calls/driver.py": (1, "a date in Retry-After is one of the wall clock"),
    "drivers/processes/keeper/shim.py": (3, "when it began and ended, in records, for people"),
    "drivers/workers/cell.py": (1, "the same"),
    "drivers/workers/claims.py": (1, "the same"),
    "engine/backups.py": (1, "the age of a backup, which may come a day early or late, and is never negative"),
    "engine/engine.py": (1, "since when the engine is there, for people"),
    "engine/removal.py": (1, "when a removal was, for people"),
    "engine/turns.py": (1, "when a turn was, for people; the machine is told engine time"),
}
"""Which files of kernel, store, engine and drivers ask for wall time (`Clock.wall`, `wall_ms`): how often, and why."""

ALWAYS = {"time.time", "time.time_ns", "time.CLOCK_REALTIME"}
WITHOUT_TIME = {"time.gmtime": 1, "time.localtime": 1, "time.ctime": 1, "time.strftime": 2}
"""These read it where they are given less than so many words."""
OF_TODAY = {"now", "utcnow", "today"}
"""Of `datetime` and `date`."""
IMPORT = re.compile(r"\b(import|from) (time|datetime)\b")
RULING = ("kernel", "store", "engine", "drivers")


def reads(tree: ast.AST) -> Iterator[str]:
    """What reads the system's wall clock, as written."""
    given = {id(call.func): len(call.args) for call in ast.walk(tree) if isinstance(call, ast.Call)}
    for node in ast.walk(tree):
        name = dotted(node) if isinstance(node, ast.Attribute) else ""
        of_a_date = name.split(".")[0] in ("datetime", "date") and name.split(".")[-1] in OF_TODAY
        if name in ALWAYS or of_a_date or given.get(id(node), 0) < WITHOUT_TIME.get(name, 0):
            yield name


def asks(tree: ast.AST) -> Iterator[str]:
    """Calls for wall time by way of a clock or of the records."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("wall", "wall_ms"):
            yield ast.unparse(node.func)


def test_the_wall_clock_is_read_at_named_places_alone() -> None:
    found = {place: Counter(reads(parse(PACKAGE / place))) for place in with_clocks()}
    named = {place: {name: often for name, (often, _) in names.items()} for place, names in READ.items()}
    assert {place: dict(names) for place, names in found.items() if names} == named, (
        "ask a Clock, or time.monotonic for a limit; what reads the wall clock is listed here with its reason"
    )


def test_what_rules_asks_for_wall_time_at_named_places_alone() -> None:
    found = {place: len(list(asks(parse(PACKAGE / place)))) for part in RULING for place in places(PACKAGE / part)}
    assert {place: often for place, often in found.items() if often} == {
        place: often for place, (often, _) in ASKED.items()
    }


def test_the_clocks_are_named_by_their_modules_so_that_they_are_found() -> None:
    found = [
        f"{place}:{node.lineno}: {ast.unparse(node)}"
        for place in with_clocks()
        for node in ast.walk(parse(PACKAGE / place))
        if is_renamed(node)
    ]
    assert found == []


def is_renamed(node: ast.AST) -> bool:
    """Whether a clock comes under another name: `from time import time`, `import time as t`."""
    if isinstance(node, ast.ImportFrom):
        renamed = [one for one in node.names if one.asname and node.module == "datetime"]
        return node.module == "time" or bool(renamed)
    return isinstance(node, ast.Import) and any(one.asname and one.name in ("time", "datetime") for one in node.names)


def with_clocks() -> list[str]:
    """The files that name a module with a clock in it, which few do."""
    return [place for place in places(PACKAGE) if IMPORT.search((PACKAGE / place).read_text(encoding="utf-8"))]


def places(folder: Path) -> list[str]:
    """The files in there, as the package names them."""
    return [path.relative_to(PACKAGE).as_posix() for path in python_files(folder)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("time.monotonic() + time.time()", ["time.time"]),
        ("clock = time.time", ["time.time"]),
        ("datetime.now(UTC)", ["datetime.now"]),
        ("datetime.datetime.utcnow()", ["datetime.datetime.utcnow"]),
        ("date.today()", ["date.today"]),
        ("time.clock_gettime(time.CLOCK_REALTIME)", ["time.CLOCK_REALTIME"]),
        ("time.gmtime()", ["time.gmtime"]),
        ("time.gmtime(5), time.strftime(form, when), datetime.fromtimestamp(5)", []),
    ],
)
def test_what_reads_the_wall_clock_is_known(text: str, found: list[str]) -> None:
    assert list(reads(ast.parse(text))) == found

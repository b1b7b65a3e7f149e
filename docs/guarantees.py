"""Writes docs/guarantees.md from one table of promises and the last recorded results in docs/guarantees.json.

`python docs/guarantees.py` writes the page anew; `python docs/guarantees.py FILE...` first takes in what tests wrote to
the files that PASSLOOP_PROMISES named. A tidy test fails while the page is not what this makes. Besides the files
named here, every tests/**/test_pNN_*.py belongs to promise NN. It invents nothing: a result whose test is gone is
dropped, and a promise without a result says so.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
PAGE = DOCS / "guarantees.md"
RESULTS = DOCS / "guarantees.json"
SIZES = ("small", "large")
WITH_RAY = "comes with Ray, which is not here yet"
CRASH_POINTS = "crash/test_crash_points.py"
UNRECORDED = "asserted, but not written down yet"

Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Promise:
    """One line of the page. `figures` is small / large, `also` are test files that do not bear the promise's number.

    `absent` says why a promise is not made yet, `unrecorded` why there is no small figure; both stand on the page.
    """

    number: int
    text: str
    shows: str
    figures: str
    also: tuple[str, ...] = ()
    absent: str = ""
    unrecorded: str = UNRECORDED

    @property
    def name(self) -> str:
        """P1 to P20."""
        return f"P{self.number}"


PROMISES = (
    Promise(
        1,
        "an acknowledged submit is never lost",
        "0 lost",
        "200 / 1,000 kills",
        (CRASH_POINTS, "unit/engine/test_turns.py", "unit/engine/test_killed.py", "unit/store/test_commit_crashes.py"),
    ),
    Promise(2, "a committed attempt never runs again", "0", "same run", (CRASH_POINTS, "unit/drivers/test_claims.py")),
    Promise(
        3, "at most one live attempt per task", "0 overlaps", "same run", (CRASH_POINTS, "unit/engine/test_turns.py")
    ),
    Promise(
        4,
        "no device is double-booked, across crashes and strays too",
        "0",
        "20,000 / 100,000 events",
        (
            *("properties/test_p15_the_machine_is_right.py", "unit/devices/test_locks.py", "unit/devices/test_gate.py"),
            "unit/drivers/test_commands.py",
        ),
    ),
    Promise(
        5,
        "running work survives the engine's death and upgrade",
        "all found again, 0 restarted",
        "10 / 100 cycles of 8",
        (
            CRASH_POINTS,
            "crash/test_shim_kills.py",
            "unit/drivers/test_find.py",
            "unit/drivers/test_keeper_parts.py",
            "unit/drivers/test_reattach.py",
        ),
    ),
    Promise(
        6,
        "cancel and time limit leave no process and no device memory",
        "0 survivors after grace and 10 s",
        "6 shapes, 5 / 30 times",
        (CRASH_POINTS, "unit/drivers/test_trees.py", "contract/test_driver_contract.py"),
    ),
    Promise(
        7,
        "power cut: consistent, nothing acknowledged lost",
        "0 corrupt, 0 lost",
        "2,000 / 50,000 states",
    ),
    Promise(
        8,
        "disk full: no corruption, a clear state, resumes alone",
        "`paused: disk full` is shown, work goes on within 5 s of free space",
        "each place",
        (CRASH_POINTS, "unit/store/test_full_disk.py", "unit/engine/test_pause.py"),
    ),
    Promise(
        9,
        "a damaged store, log or journal is detected, never taken for empty",
        "0 silent wrong states, exit code 4 with a next step",
        "200 / 1,000",
        (CRASH_POINTS, "unit/store/test_damage.py", "unit/store/test_repair.py"),
    ),
    Promise(10, "clock jumps do no harm", "0 false rescues, 0 negative durations", "100 / 500 schedules"),
    Promise(
        11,
        "a poison task cannot eat the box",
        "limits held; others keep 95 % of throughput",
        "scripted",
        ("unit/drivers/test_memory.py",),
    ),
    Promise(
        12,
        "an LLM answer we stored is never paid for twice",
        "0 sent again; those of unknown outcome are counted and shown",
        "50 / 1,000 kills",
        ("unit/engine/test_submission.py",),
    ),
    Promise(
        13,
        "limits hold across runs, crashes, restarts",
        "0 over, 0 before a Retry-After was over",
        "50 / 1,000 seeds",
        ("unit/kernel/test_closed_pools.py", "unit/kernel/test_declared_again.py", "unit/kernel/test_probing.py"),
    ),
    Promise(
        14,
        "no starvation behind work of its own or lower priority, no deadlock, every waiting task has a true reason",
        "0 breaks",
        "500 / 20,000 seeds",
        ("simulation/test_histories.py",),
    ),
    Promise(15, "the machine is right", "0", "300 x 50 / 20,000"),
    Promise(
        16,
        "an old store opens in a new version; a newer one is refused",
        "0 half-migrated, exit code 4",
        "all",
        ("unit/store/test_migrate.py",),
    ),
    Promise(
        17,
        "bad input gets an error, not a traceback",
        "0 tracebacks, 0 over 1 s, each error names the place and a fix",
        "2,000 / 10,000",
        (
            *("unit/apps/test_spec_file.py", "properties/test_page_interface_fuzz.py"),
            *(f"properties/test_{kind}_specs_fuzz.py" for kind in ("bench", "generate", "tune")),
        ),
    ),
    Promise(
        18,
        "100,000 tasks stay usable",
        "`ls` p95 under 300 ms, the page's first rows under 1 s, engine under 300 MB",
        "what each costs is counted / 100,000 done and 10,000 queued",
        ("browser/test_many_tasks.py",),
    ),
    Promise(
        19,
        'many clients at once, never "database is locked"',
        "0 lock errors; over 60 s p99 under 200 ms",
        "32 clients, 480 requests / 60 s",
    ),
    Promise(
        20,
        "on Ray: loss of head, node or driver is recovered from our store",
        "0 lost",
        "10 / 50 kills",
        absent=WITH_RAY,
    ),
)

HEAD = """# Guarantees

**Start: at least once. Live: at most one attempt. Record: exactly one final state, never changed. GPU: exclusive to
us, and we stand aside for others. Durability: survives `kill -9` of anything, and power loss where the disk honours
fsync.**

Not promised: exactly-once effects outside (a task gets `PASSLOOP_ATTEMPT_ID`, and `PASSLOOP_IDEMPOTENCY_KEY`, which all
its attempts share, to make its own), protection from root, VRAM limits without MIG or MPS, processes that escape
session, descent, control group and environment at once.

A promise without a test is not made. `make test` runs the small figure, `make prove` the large one. This page is made
by `docs/guarantees.py` from the table in it and from what the tests wrote down last; `make guarantees` makes it anew.
Files are below `tests/`.

| # | promise | must show: small / large | last result | test |
|---|---|---|---|---|
"""
TAIL = """
What a person sees of them:

- **Disk full** (P8): the engine stops acting, keeps what runs running, and `passloop status` says
  `paused: disk full: ...`; a submit ends with exit code 5 and says why. It goes on by itself within 5 s of free space;
  nothing has to be restarted.
- **Damage, or a store of a newer version** (P9, P16): exit code 4, the place, and the next command
  (`passloop doctor --repair`, or the upgrade). The damaged files are kept beside the repaired ones.
- **Bad input** (P17): exit code 2, for a spec `file:line:column` and a fix, and nothing is submitted.
- **A task that ruins itself** (P11): its own exit or signal is its outcome; a shim lost with it counts as a loss, of
  which it has five; each retry waits twice as long as the one before; the devices it held are given on only when its
  whole tree is gone.
"""


def files_of(promise: Promise) -> list[str]:
    """The test files of a promise, below tests/. Raises SystemExit for one that is named and not there, or empty."""
    numbered = [
        path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_p*.py") if _is_about(path.stem, promise)
    ]
    found = sorted({*numbered, *promise.also})
    for name in found:
        if not tests_in(TESTS / name):
            raise SystemExit(f"docs/guarantees.py: {promise.name} names tests/{name}, which holds no test")
    return found


def _is_about(name: str, promise: Promise) -> bool:
    """Whether the numbers in the name say so: test_p01_p02_kills is about P1 and P2."""
    return any(int(number) == promise.number for number in re.findall(r"_p(\d\d)(?=_|$)", name))


def tests_in(path: Path) -> set[str]:
    """The names of the tests in a file; none if it is not there."""
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    return {node.name for node in made if node.name.startswith(("test_", "Test"))}


def read_results(path: Path) -> list[Result]:
    """What is kept of the results."""
    return list(json.loads(path.read_text(encoding="utf-8"))["results"]) if path.exists() else []


def take_in(results: Iterable[Result], lines: Iterable[str]) -> list[Result]:
    """The results with those of `lines` in place of older ones of the same promise, size and test.

    A file that was left lying is no news: lines from a day before the result that is there are passed over.
    """
    results = list(results)
    known = {_of(one): str(one["date"]) for one in results}
    told = [_shortened(json.loads(line)) for line in lines if line.strip()]
    new = [one for one in told if one["date"] >= known.get(_of(one), "")]
    replaced = {_of(one) for one in new}
    kept = [one for one in results if _of(one) not in replaced]
    counted: dict[str, Result] = {}
    for one in new:
        same = counted.setdefault(json.dumps([*_of(one), one["figure"]]), one | {"times": 0, "cases": 0})
        same["times"] += 1
        same["cases"] += one["numbers"].get("cases", 0)
        same["date"] = one["date"]
    return sorted([*kept, *counted.values()], key=lambda one: (int(one["promise"][1:]), one["size"], one["test"]))


def _of(one: Result) -> tuple[str, str, str]:
    return one["promise"], one["size"], one["test"]


def _shortened(line: Result) -> Result:
    """A line without what differs between the parameters of one test."""
    return line | {"test": line["test"].partition("[")[0].removeprefix("tests/")}


def is_there(result: Result) -> bool:
    """Whether the test that gave a result still exists."""
    file, *names = result["test"].split("::")
    return bool(names) and names[0] in tests_in(TESTS / file)


def page(results: Iterable[Result]) -> str:
    """The whole page."""
    there = [one for one in results if is_there(one)]
    return HEAD + "".join(f"| {' | '.join(_cells(promise, there))} |\n" for promise in PROMISES) + TAIL


def _cells(promise: Promise, results: list[Result]) -> Iterator[str]:
    yield promise.name
    yield promise.text
    yield f"{promise.shows}; {promise.figures}"
    files = files_of(promise)
    yield "<br>".join(_lasts(promise, results)) if files else f"not made yet: {promise.absent}"
    yield ", ".join(f"`{name}`" for name in files)


def _lasts(promise: Promise, results: list[Result]) -> Iterator[str]:
    lacking = {"small": promise.unrecorded, "large": "not written down yet: `make prove`"}
    for size in SIZES:
        found = [one for one in results if (one["promise"], one["size"]) == (promise.name, size)]
        if not found and (size == "small" or has_large(promise)):
            yield f"{size}: {lacking[size]}"
        yield from (f"{size}: {text}" for text in _merged(found))


def has_large(promise: Promise) -> bool:
    """Whether a large test bears the promise's number, or is in a file that does."""
    return any(_is_about(name, promise) for file in files_of(promise) for name in _large_names(TESTS / file))


def _large_names(path: Path) -> Iterator[str]:
    """The names of a file's large tests, and its own if it has one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        marks = node.decorator_list if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else []
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            marks = [node.value]
        if any("mark.large" in ast.unparse(mark) for mark in marks):
            yield path.stem
            yield getattr(node, "name", path.stem)


def _merged(found: list[Result]) -> Iterator[str]:
    """Equal figures of several tests, or of one with several parameters, as one."""
    by_figure: dict[str, list[Result]] = {}
    for one in found:
        by_figure.setdefault(one["figure"].replace("|", "/"), []).append(one)
    for figure, same in by_figure.items():
        times = sum(int(one.get("times", 1)) for one in same)
        cases = sum(int(one.get("cases", 0)) for one in same)
        count = f"{cases:,} cases: " if cases else f"{times} x " if times > 1 else ""
        yield f"{count}{figure} ({max(_when(one) for one in same)})"


def _when(one: Result) -> str:
    return ", ".join(filter(None, (one["date"], one["version"], one.get("commit"))))


def main(files: list[str]) -> None:
    """Take in the lines of these files, if there are any, and write results and page."""
    lines = [line for name in files if Path(name).exists() for line in Path(name).read_text().splitlines()]
    results = [one for one in take_in(read_results(RESULTS), lines) if is_there(one)]
    RESULTS.write_text(json.dumps({"results": results}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(page(results), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

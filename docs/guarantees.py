"""Writes docs/guarantees.md from the table in docs/promises.py and the last results in docs/guarantees.json.

`python docs/guarantees.py FILE...` takes in what tests wrote to the files that PASSLOOP_PROMISES named, if any, and
writes page and results anew. `--check FILE` fails where the small figures in a file are less than promised, `--report`
says what is shown of the large ones and fails where something lacks, `--passed FILE` lists the large tests that need
not run again. A tidy test fails while the page is not what this makes. It invents nothing: a promise without a result
says so, and so does one whose figure is too small.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby
from pathlib import Path

from promises import PROMISES, Promise
from results import (
    SIZES,
    TESTS,
    Result,
    is_there,
    lines_of,
    passed_on,
    read_results,
    shown,
    take_in,
    tests_in,
    write_results,
)

from passloop.apps.errors import SpecError
from passloop.engine.errors import Unwritable
from passloop.kernel.tasks import RetryBudgets
from passloop.store.errors import StoreDamaged, StoreTooNew

DOCS = Path(__file__).parent
PAGE = DOCS / "guarantees.md"
RESULTS = DOCS / "guarantees.json"

HEAD = """# Guarantees

**Start: at least once. Live: at most one attempt. Record: exactly one final state, never changed. GPU: exclusive to
us, and we stand aside for others. Durability: survives `kill -9` of anything, and power loss where the disk honours
fsync.**

Not promised: exactly-once effects outside (a task gets `PASSLOOP_ATTEMPT_ID`, and `PASSLOOP_IDEMPOTENCY_KEY`, which all
its attempts share, to make its own), protection from root, VRAM limits without MIG or MPS, processes that escape
session, descent, control group and environment at once. What the tests cannot show stands in
[Broken on purpose](design/broken-on-purpose.md#what-is-not-shown).

A promise without a test is not made. `make test` runs the small figures, and fails where one of them is not reached,
but for what a skipped test excuses by the lack of something here, as a GPU; `make prove` runs the large ones. This page
is made by `docs/guarantees.py` from the table in `docs/promises.py` and from what the tests wrote down last;
`make guarantees` makes it anew. What was shown, by which tests, stands [below](#what-was-shown).

{commits}

| # | promise, and what its tests must show | small: `make test` | large: `make prove` |
|---|---|---|---|
"""
TAIL = """
What a person sees of them:

- **Disk full** (P8): the engine stops acting, keeps what runs running, and `passloop status` says
  `paused: disk full: ...`; the submit that meets it waits and is told, each later one ends with
  exit code {full} and says why. It goes on by itself within {resumes:.0f} s of free space; nothing has to be restarted.
- **Damage, or a store of a newer version** (P9, P16): exit code {damaged}, the place, and the next command
  (`passloop doctor --repair`, or the upgrade). The damaged files are kept beside the repaired ones.
- **Bad input** (P17): exit code {bad}, for a spec `file:line:column` and a fix, and nothing is submitted.
- **A task that ruins itself** (P11): its own exit or signal is its outcome; a shim lost with it counts as a loss, of
  which it has {losses}; each retry waits twice as long as the one before, from {first:.0f} s up to {most:.0f}; the
  devices it held are given on only when its whole tree is gone.
"""


DETAILS = """
## What was shown

Each figure with the day, the version and the commit (the last one that changed `src`, `tests` or `pyproject.toml`;
with a `+`, files differed from it). Test files are below `tests/`.
"""


@cache
def files_of(promise: Promise) -> list[str]:
    """The test files of a promise, below tests/. Raises SystemExit for one that is named and not there, or empty."""
    numbered = [name for name in _numbered_files() if _is_about(Path(name).stem, promise)]
    found = sorted({*numbered, *promise.also})
    for name in found:
        if not tests_in(TESTS / name):
            raise SystemExit(f"docs/promises.py: {promise.name} names tests/{name}, which holds no test")
    return found


@cache
def _numbered_files() -> list[str]:
    return [path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_p*.py")]


def _is_about(name: str, promise: Promise) -> bool:
    """Whether the numbers in the name say so: test_p01_p02_kills is about P1 and P2."""
    return promise.number in _numbers_in(name)


def _numbers_in(name: str) -> set[int]:
    return {int(number) for number in re.findall(r"_p(\d\d)(?=_|$)", name)}


@cache
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


def results_of(promise: Promise, results: Iterable[Result]) -> list[Result]:
    """What tests recorded of a promise, and those of its tests that are red or were skipped.

    In a file that serves several promises, a test with numbers in its name belongs to these alone.
    """
    files = files_of(promise)
    found = []
    for one in results:
        file, _, test = one["test"].partition("::")
        if "outcome" not in one:
            mine = one["promise"] == promise.name
        else:
            numbers = _numbers_in(Path(file).stem) | _numbers_in(test.partition("[")[0])
            mine = file in files and (not numbers or promise.number in numbers)
        if mine and is_there(one):
            found.append(one)
    return found


def page(results: Iterable[Result]) -> str:
    """The whole page."""
    there = {promise.name: results_of(promise, results) for promise in PROMISES}
    rows = "".join(f"| {' | '.join(_cells(promise, there[promise.name]))} |\n" for promise in PROMISES)
    details = "".join(_details(promise, there[promise.name]) for promise in PROMISES if not promise.absent)
    return HEAD.format(commits=_commits(there)) + rows + _tail() + DETAILS + details


def _tail() -> str:
    """What a person sees, with the figures of the code."""
    budgets = RetryBudgets()
    (resumes,) = (one for promise in PROMISES for one in promise.figures if one.unit == "resumed_after_ms")
    assert resumes.small is not None
    return TAIL.format(
        full=Unwritable.exit_code,
        resumes=resumes.small / 1_000,
        damaged=" or ".join(sorted({str(StoreDamaged.exit_code), str(StoreTooNew.exit_code)})),
        bad=SpecError.exit_code,
        losses=budgets.lost,
        first=budgets.backoff_first / 1_000,
        most=budgets.backoff_most / 1_000,
    )


def _commits(there: dict[str, list[Result]]) -> str:
    """Of which commits the large figures are: one, if it is one; and how many are not shown."""
    where: dict[str, list[str]] = {}
    for name, results in there.items():
        large = [one for one in results if one["size"] == "large" and "outcome" not in one]
        for commit in sorted({_commit(one) for one in large if one.get("commit")}):
            where.setdefault(commit, []).append(name)
    found = [one for promise in PROMISES for one in shown(promise, "large", there[promise.name])]
    missing = sum(not one.enough for one in found)
    lacks = f" {missing} of {len(found)} large figures {'is' if missing == 1 else 'are'} not shown." if missing else ""
    if not where:
        return f"No large figure was written down yet at a commit that is known.{lacks}"
    if len(where) == 1:
        return f"All large figures that are shown are of {next(iter(where))}.{lacks}"
    parts = [f"{commit}: {', '.join(names)}" for commit, names in sorted(where.items(), key=lambda one: -len(one[1]))]
    return f"The large figures are not of one commit. {'; '.join(parts)}.{lacks}"


def _commit(one: Result) -> str:
    return f"`{one['commit']}`"


def _cells(promise: Promise, results: list[Result]) -> Iterator[str]:
    yield promise.name
    yield "<br>".join(filter(None, (f"**{promise.text}**", promise.shows, promise.conditions)))
    for size in SIZES:
        yield f"not made yet: {promise.absent}" if promise.absent else "<br>".join(_verdicts(promise, size, results))


def _verdicts(promise: Promise, size: str, results: list[Result]) -> Iterator[str]:
    """A cell of the first table: what of a size must be shown, and what is not."""
    of_size = [one for one in results if one["size"] == size]
    for one in shown(promise, size, of_size):
        if one.enough:
            yield f"✓ {one.figure.said(size)}"
        else:
            yield f"✗ **not shown: {one.said}**" + (" (skipped)" if one.excused else "")
    if not any(figure.wanted(size) is not None for figure in promise.figures):
        yield "the small figures are all there is to it"
    red = {_name(one) for one in of_size if one.get("outcome") == "failed"}
    yield from (f"✗ **red: `{test}`**" for test in sorted(red))
    if skipped := len({_case(one) for one in of_size if one.get("outcome") == "skipped"}):
        yield f"({skipped} test{'s' * (skipped > 1)} skipped, see below)"


def _name(one: Result) -> str:
    return str(one["test"].rpartition("::")[2].partition("[")[0])


def _case(one: Result) -> str:
    """A test with its parameters."""
    return str(one["test"].rpartition("::")[2])


def _details(promise: Promise, results: list[Result]) -> str:
    """A paragraph of the second part: figures of each size, what is red or was skipped, and the tests."""
    lines = [f"\n### {promise.name}: {promise.text}\n"]
    for size in SIZES:
        of_size = [one for one in results if one["size"] == size]
        records = sorted((one for one in of_size if "outcome" not in one), key=_when)
        for when, same in groupby(records, _when):
            lines += [f"- {size}, {when}:", *(f"  - {figure}" for figure in _merged(list(same)))]
        if not records and (size == "small" or has_large(promise)):
            lines.append(f"- {size}: **nothing was written down yet**")
        ends = sorted({(one["outcome"], _case(one), _when(one), one["reason"]) for one in of_size if "outcome" in one})
        lines += [f"- {size}, {when}: **{how}** `{test}` {reason}".rstrip() for how, test, when, reason in ends]
    lines.append(f"- tests: {', '.join(f'`{name}`' for name in files_of(promise))}")
    return "\n".join(lines) + "\n"


def _when(one: Result) -> str:
    commit = f"at `{one['commit']}`" if one.get("commit") else "at an unknown commit, not counted"
    return f"{one['date']}, {one['version']} {commit}"


def _merged(found: list[Result]) -> Iterator[str]:
    """Equal figures of several tests, or of one with several parameters, as one."""
    by_figure: dict[str, list[Result]] = {}
    for one in found:
        by_figure.setdefault(one["figure"], []).append(one)
    for figure, same in by_figure.items():
        cases = sum(one["numbers"].get("cases", 0) for one in same)
        yield f"{cases:,} cases: {figure}" if cases else f"{len(same)} x {figure}" if len(same) > 1 else figure


def check(results: list[Result]) -> list[str]:
    """What the small figures of these results lack, one sentence each; a skip that excuses is told, not a fault."""
    faults = []
    for promise in PROMISES:
        for one in shown(promise, "small", results_of(promise, results)):
            if not one.enough and one.excused:
                print(f"{promise.name}: not shown here, because a test was skipped: {one.said}")
            elif not one.enough:
                faults.append(f"{promise.name}: {one.said}")
    return faults


def report(results: list[Result]) -> bool:
    """Say of each promise what of its large figures is shown, at which commit, and what lacks; whether nothing does."""
    whole = True
    for promise in PROMISES:
        found = [one for one in results_of(promise, results) if one["size"] == "large"]
        figures = list(shown(promise, "large", found))
        records = [one for one in found if "outcome" not in one and one.get("commit")]
        where = ", ".join(sorted({_commit(one).strip("`") for one in records}))
        if enough := [one.said for one in figures if one.enough]:
            print(f"{promise.name:4}shown at {where}: {'; '.join(enough)}")
        for one in figures:
            whole = whole and (one.enough or one.excused)
            if not one.enough:
                print(f"{promise.name:4}LACKS{' (skipped)' if one.excused else ''}: {one.said}")
        for one in found:
            if "outcome" in one:
                whole = whole and one["outcome"] != "failed"
                print(
                    f"{promise.name:4}{one['outcome'].upper()}: {_name(one)}{': ' * bool(one['reason'])}{one['reason']}"
                )
    return whole


def commit_here() -> str:
    """As tests name it when they record."""
    code = "from tests.support.promises import commit; print(commit())"
    return subprocess.check_output([sys.executable, "-c", code], cwd=DOCS.parent, text=True).strip()


def main(words: list[str]) -> int:
    """Do what the words say; the exit status."""
    match words:
        case ["--passed", *files]:
            print("".join(f"{test}\n" for test in passed_on(commit_here(), lines_of(files))), end="")
            return 0
        case ["--check", *files]:
            faults = check(take_in([], lines_of(files)))
            print("".join(f"{fault}\n" for fault in faults), end="")
            print("the small figures of the promises: " + ("too small" if faults else "all reached"))
            return 1 if faults else 0
        case ["--report"]:
            return 0 if report(read_results(RESULTS)) else 1
    results = [one for one in take_in(read_results(RESULTS), lines_of(words)) if is_there(one)]
    write_results(RESULTS, results)
    PAGE.write_text(page(results), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

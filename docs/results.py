"""What tests of promises wrote down, as results that are kept, and whether these come to what a promise says.

A line is either what a test recorded of a promise, or how the test ended. A record counts once its test has passed: one
that is red takes what it showed before away, one that was skipped leaves it and says so. Nothing is made up: what is
added up is of one test on one commit, what is of no known commit is not counted, and a result whose test is gone is
dropped.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from promises import Figure, Promise

TESTS = Path(__file__).parent.parent / "tests"
SIZES = ("small", "large")

Result = dict[str, Any]
Key = tuple[str, str]


def read_results(path: Path) -> list[Result]:
    """What is kept of the results."""
    return list(json.loads(path.read_text(encoding="utf-8"))["results"]) if path.exists() else []


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Keep them, one in a line."""
    lines = ",\n".join(" " + json.dumps(one, ensure_ascii=False) for one in results)
    path.write_text(f'{{"results": [\n{lines}\n]}}\n', encoding="utf-8")


def lines_of(files: Iterable[str]) -> list[str]:
    """The lines of those of these files that are there."""
    return [line for name in files if Path(name).exists() for line in Path(name).read_text().splitlines()]


def take_in(results: Iterable[Result], lines: Iterable[str]) -> list[Result]:
    """The results with those of `lines` in place of older ones of the same test.

    A file that was left lying is no news: lines from before the first of what is there are passed over. So is a line
    without a time: nobody can say whether it is news, nor how its test ended.
    """
    kept: dict[Key, list[Result]] = {}
    for one in results:
        kept.setdefault(_key(one), []).append(one)
    known = {key: min(map(_when, found)) for key, found in kept.items()}
    under_way: dict[Key, list[Result]] = {}
    for line in map(json.loads, filter(str.strip, lines)):
        one = line | {"test": line["test"].removeprefix("tests/")}
        key = _key(one)
        if "time" not in one or _when(one) < known.get(key, ""):
            continue
        if "outcome" in one:
            _end(kept, one, under_way.pop(key, []))
        else:
            under_way.setdefault(key, []).append(one)
    found = [one for of_one in kept.values() for one in of_one]
    return sorted(found, key=lambda one: (int(one.get("promise", "P0")[1:]), one["size"], one["test"], _when(one)))


def _key(one: Result) -> Key:
    return one["test"], one["size"]


def _when(one: Result) -> str:
    return str(one.get("time", one["date"]))


def _end(kept: dict[Key, list[Result]], end: Result, records: list[Result]) -> None:
    """A test has ended: what it showed this time takes the place of what it showed before."""
    key = _key(end)
    if end["outcome"] == "skipped":
        kept[key] = [*(one for one in kept.get(key, []) if "outcome" not in one), end]
        return
    _drop_others(kept, end)
    kept[key] = _of_one_run(records) if end["outcome"] == "passed" else [end]
    if not kept[key]:
        del kept[key]


def _of_one_run(records: list[Result]) -> list[Result]:
    """Without what an earlier run wrote down before it was interrupted."""
    return [
        {name: value for name, value in one.items() if name != "process"}
        for one in records
        if one["process"] == records[-1]["process"]
    ]


def _drop_others(kept: dict[Key, list[Result]], new: Result) -> None:
    """Of the same test, with these parameters or others, what is of another commit: it adds up to no figure."""
    name = _function(new)
    for key in [key for key in kept if key[1] == new["size"] and key[0].partition("[")[0] == name]:
        kept[key] = [one for one in kept[key] if one.get("commit") == new.get("commit")]
        if not kept[key]:
            del kept[key]


def _function(one: Result) -> str:
    return str(one["test"].partition("[")[0])


@cache
def tests_in(path: Path) -> set[str]:
    """The names of the tests in a file; none if it is not there."""
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    made = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    return {node.name for node in made if node.name.startswith(("test_", "Test"))}


def is_there(result: Result) -> bool:
    """Whether the test that gave a result still exists."""
    file, *names = _function(result).split("::")
    return bool(names) and names[0] in tests_in(TESTS / file)


@dataclass(frozen=True, slots=True)
class Shown:
    """How far a promise's results come with one of its figures: `said` for a reader, `excused` by a skipped test."""

    figure: Figure
    said: str
    enough: bool
    excused: bool


def shown(promise: Promise, size: str, results: Iterable[Result]) -> Iterator[Shown]:
    """Each figure of a promise that tests of this size must show. `results` are those of the promise."""
    results = [one for one in results if one["size"] == size]
    skipped = [one["test"].partition("::")[2] for one in results if one.get("outcome") == "skipped"]
    records = [one for one in results if one.get("promise") == promise.name]
    for figure in promise.figures:
        if figure.wanted(size) is not None:
            said, enough = _reached(figure, size, records)
            yield Shown(figure, said, enough, excused=_may_be(skipped, figure))


def _may_be(skipped: list[str], figure: Figure) -> bool:
    return bool(figure.may_skip) and any(figure.may_skip in test for test in skipped)


def _reached(figure: Figure, size: str, records: list[Result]) -> tuple[str, bool]:
    """What these records come to, in words where it is too little, and whether it is enough.

    What adds up is of one commit: that at which it comes to most. What is of no known commit counts nowhere.
    """
    wanted = figure.wanted(size)
    assert wanted is not None
    numbers = list(_numbers(figure, size, records))
    if figure.rule == "sum":
        commits = {of for of, _ in numbers}
        total = max((sum(number for of, number in numbers if of == commit) for commit in commits), default=0)
        return f"{total:,} of {figure.said(size)}", total >= wanted
    if not numbers:
        return f"{figure.said(size)}: nothing was written down", False
    values = [number for _, number in numbers]
    worst = min(values) if figure.rule == "least" else max(values)
    return f"{figure.said(size)}: it is {worst:,}", worst >= wanted if figure.rule == "least" else worst < wanted


def _numbers(figure: Figure, size: str, records: list[Result]) -> Iterator[tuple[str, float]]:
    """The commit of each record that counts, and its number."""
    for one in records:
        numbers = one["numbers"]
        if figure.of is not None and numbers.get(figure.of[0], 0) < figure.of[1 if size == "small" else 2]:
            continue
        if figure.unit in numbers and one.get("commit"):
            yield one["commit"], numbers[figure.unit]


def passed_on(commit: str, lines: Iterable[str]) -> list[str]:
    """The large tests that passed, when they ran last, on just this commit; none where files differ from it."""
    ends = [one for one in map(json.loads, filter(str.strip, lines)) if one.get("outcome") and one["size"] == "large"]
    last = {one["test"]: one for one in ends}
    if not commit or commit.endswith("+"):
        return []
    return sorted(test for test, one in last.items() if (one["outcome"], one["commit"]) == ("passed", commit))

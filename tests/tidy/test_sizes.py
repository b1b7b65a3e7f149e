"""Files and functions stay small enough to be read in one go. The list of exceptions may only shrink."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator
from typing import NamedTuple

from tests.tidy.source import PACKAGE, ROOT, TESTS, depth, functions, parameters, parse, python_files, show

FILE_LINES = 500
KERNEL_FILE_LINES = 400
TEST_FILE_LINES = 600
FUNCTION_LINES = 50
NESTING = 3
PARAMETERS = 7


class Large(NamedTuple):
    """Something over its bound."""

    rule: str
    where: str
    size: int


def test_files_and_functions_are_small() -> None:
    allowed = {(entry["rule"], entry["where"]) for entry in exceptions()}
    found = [large for large in everything_large() if (large.rule, large.where) not in allowed]
    assert not found, "\n".join(f"{large.where}: {large.rule} has {large.size}" for large in found)


def test_the_list_of_exceptions_only_shrinks() -> None:
    listed = exceptions()
    sizes = {(large.rule, large.where): large.size for large in everything_large()}
    stale = [entry for entry in listed if sizes.get((str(entry["rule"]), str(entry["where"]))) != entry["size"]]
    assert not stale, f"write down their size now, or strike them: {stale}"
    assert len(listed) == document()["most"], "`most` is the number of entries; lower it with every one struck"
    assert all(len(str(entry["reason"])) > 20 for entry in listed), "each exception gives its reason"


def document() -> dict[str, object]:
    return tomllib.loads((ROOT / "tests" / "tidy" / "exceptions.toml").read_text())


def exceptions() -> list[dict[str, object]]:
    entries = document().get("exception", [])
    assert isinstance(entries, list)
    return entries


@functools.cache
def everything_large() -> tuple[Large, ...]:
    return tuple(_everything_large())


def _everything_large() -> Iterator[Large]:
    for path in [*python_files(PACKAGE), *python_files(TESTS), *python_files(ROOT / "examples")]:
        where = show(path)
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > file_bound(where):
            yield Large("file", where, lines)
        for name, function in functions(parse(path)):
            asked = parameters(function) if where.startswith("src/") else 0  # a Hypothesis rule asks for what it draws
            measures = {
                "function": ((function.end_lineno or 0) - function.lineno + 1, FUNCTION_LINES),
                "nesting": (depth(function), NESTING),
                "parameters": (asked, PARAMETERS),
            }
            yield from (
                Large(rule, f"{where}:{name}", size) for rule, (size, bound) in measures.items() if size > bound
            )


def file_bound(where: str) -> int:
    if where.startswith("tests/"):
        return TEST_FILE_LINES
    return KERNEL_FILE_LINES if where.startswith("src/passloop/kernel/") else FILE_LINES

"""One word per idea: words that could mean anything are not used as names, neither in code nor in tables."""

from __future__ import annotations

import re

from tests.tidy.source import PACKAGE, ROOT, given_names, python_files, show, words

NOT_USED = {
    f"{stem}{ending}" for stem in ("job", "slot", "item", "info", "manager", "helper", "util") for ending in ("", "s")
}
NOT_FOR_A_MOMENT = ("recently", "just", "needs")
SQL_WORD = re.compile(r"[A-Za-z_]+")


def test_names_avoid_the_words_that_mean_anything() -> None:
    found = [
        f"{show(path)}:{name.line}: {name.name}"
        for path in [*python_files(PACKAGE), *python_files(ROOT / "examples")]
        for name in given_names(path)
        if NOT_USED.intersection(words(name.name))
    ]
    assert not found, "\n".join(found)


def test_no_boolean_is_named_for_a_moment() -> None:
    found = [
        f"{show(path)}:{name.line}: {name.name}"
        for path in python_files(PACKAGE)
        for name in given_names(path)
        if len(words(name.name)) > 1 and words(name.name)[0] in NOT_FOR_A_MOMENT
    ]
    assert not found, "\n".join(found)


def test_tables_and_columns_avoid_the_words_that_mean_anything() -> None:
    found = [
        f"{show(path)}: {word}"
        for path in sorted(PACKAGE.rglob("*.sql"))
        for word in SQL_WORD.findall(path.read_text(encoding="utf-8"))
        if NOT_USED.intersection(words(word))
    ]
    assert not found, "\n".join(found)

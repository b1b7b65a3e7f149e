"""Each file says what it owns; each link in a document leads somewhere; the glossary covers the code."""

from __future__ import annotations

import ast
import re
from enum import StrEnum
from pathlib import Path

import pytest

from passloop.cli.exits import Exit
from passloop.cli.verbs import completion
from passloop.kernel.blockers import BlockerCode
from passloop.kernel.events import PoolKind
from passloop.kernel.tasks import OutcomeKind, TaskState
from tests.tidy.source import PACKAGE, ROOT, TESTS, functions, parse, python_files, show

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def documents() -> list[str]:
    """Every Markdown document of the project, by path."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(show(path) for path in found if "_build" not in path.parts)


def test_each_file_opens_with_what_it_owns() -> None:
    bare = [show(path) for path in python_files(PACKAGE) if not ast.get_docstring(parse(path))]
    assert not bare, bare


def test_each_file_postpones_its_annotations() -> None:
    bare = [
        show(path)
        for path in python_files(PACKAGE)
        if len(parse(path).body) > 1 and "from __future__ import annotations" not in path.read_text()
    ]
    assert not bare, bare


@pytest.mark.parametrize("document", documents())
def test_links_in_documents_lead_somewhere(document: str) -> None:
    text = FENCE.sub("", (ROOT / document).read_text(encoding="utf-8"))
    broken = [link for link in LINK.findall(text) if not leads_somewhere(ROOT / document, link)]
    assert not broken, f"{document}: {broken}"


def leads_somewhere(document: Path, link: str) -> bool:
    """True for a file that exists (with the heading, if one is named) and for addresses of other sites."""
    target, _, anchor = link.partition("#")
    if "://" in link or link.startswith("mailto:"):
        return True
    goal = (document.parent / target).resolve() if target else document
    return goal.exists() and (not anchor or goal.suffix != ".md" or anchor in anchors(goal.read_text()))


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "docs/guarantees.md", "docs/design/status.md"])
def test_files_and_tests_that_a_document_names_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    paths = set(re.findall(r"`([a-z_]+/[a-z_/]*(?:\.py)?)[`:]", text))
    assert len(paths) > 10
    missing = [path for path in paths if not any((start / path).exists() for start in (PACKAGE, ROOT, TESTS))]
    tests = set(re.findall(r"\b(test_[a-z0-9_]+)`", text))
    assert not missing + sorted(tests - known_tests())


def known_tests() -> set[str]:
    """The names of all tests."""
    return {name.split(".")[-1] for path in python_files(TESTS) for name, _ in functions(parse(path))}


def test_the_guide_has_every_exit_code_once() -> None:
    text = (ROOT / "docs" / "guides" / "exit-codes.md").read_text(encoding="utf-8")
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == sorted(Exit)


def test_the_guide_lets_the_shell_complete_as_the_help_says() -> None:
    guide = (ROOT / "docs" / "guides" / "first-run.md").read_text(encoding="utf-8")
    told = re.findall(r"^ *(?:bash|zsh|fish): +(.*?)(?: {3,}in (\S+))?$", completion.command.help or "", re.MULTILINE)
    assert len(told) == 3
    for words, file in told:
        (line,) = [line for line in guide.splitlines() if words in line]
        assert file in line


def anchors(text: str) -> set[str]:
    """The names under which the headings of a document can be linked."""
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).strip() for heading in HEADING.findall(text)]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize(
    ("section", "words"),
    [("Task states", TaskState), ("Outcomes", OutcomeKind), ("Kinds of pools", PoolKind), ("Blockers", BlockerCode)],
)
def test_the_glossary_describes_exactly_the_words_of_the_code(section: str, words: type[StrEnum]) -> None:
    assert described(section) == {word.value for word in words}


def described(section: str) -> set[str]:
    """The words in back quotes that open a table row in one section of the glossary."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    part = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `([a-z_]+)` \| \S", part, re.MULTILINE))

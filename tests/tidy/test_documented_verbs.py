"""A verb that nobody can read about is not there: every one is in the catalogue and a document, and explains itself."""

from __future__ import annotations

import re

import click
import pytest

from passloop.cli.catalogue import VERBS
from passloop.cli.program import program
from tests.tidy.source import PACKAGE, ROOT, python_files

CONTEXT = click.Context(program, info_name="passloop")
WORDS = re.compile(r"passloop ([a-z]+)\b")


def documented_verbs() -> set[str]:
    paths = [ROOT / "README.md", *(ROOT / "docs" / "guides").rglob("*.md")]
    return {verb for path in paths for verb in WORDS.findall(path.read_text(encoding="utf-8"))}


def command_of(verb: str) -> click.Command:
    command = program.get_command(CONTEXT, verb)
    assert command is not None
    return command


def test_every_verb_has_a_file_and_every_file_a_verb() -> None:
    files = {path.stem for path in python_files(PACKAGE / "cli" / "verbs")} - {"__init__"}
    assert files == set(VERBS)


def test_every_verb_stands_in_a_document() -> None:
    missing = set(VERBS) - documented_verbs()
    assert not missing, f"write about these in README.md or docs/guides: {', '.join(sorted(missing))}"


@pytest.mark.parametrize("verb", VERBS)
def test_verb_explains_itself_and_each_option(verb: str) -> None:
    command = command_of(verb)
    assert command.name == verb
    assert command.help
    assert command.get_help(click.Context(command, parent=CONTEXT, info_name=verb)).startswith(
        f"Usage: passloop {verb}"
    )
    silent = [param.name for param in command.params if isinstance(param, click.Option) and not param.help]
    assert not silent


@pytest.mark.parametrize("verb", VERBS)
def test_verb_takes_home_and_colour(verb: str) -> None:
    names = {param.name for param in command_of(verb).params}
    assert {"home", "color"} <= names

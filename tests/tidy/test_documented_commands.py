"""Every command line and every spec in the documents is one that passloop understands. Nothing is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import jsonschema
import pytest

from passloop.apps.bench.spec import read_bench
from passloop.apps.generate.spec import read_generate
from passloop.apps.queue.schema import schema_of
from passloop.apps.queue.spec import read_sweep
from passloop.apps.spec_file import SpecFile, parse_spec
from passloop.apps.tune.study import study_of_file
from passloop.cli.program import program
from passloop.cli.verbs.schema import OTHERS
from tests.tidy.source import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
READERS: dict[str, Callable[[SpecFile], object]] = {
    "run": read_sweep,
    "bench": read_bench,
    "generate": read_generate,
    "tune": lambda file: study_of_file(file, cwd=ROOT),
}
SEPARATORS = {"&&", "||", "|", ";", "do", "done", ">", ">>"}


def documents() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").rglob("*.md"))


def blocks(*languages: str) -> Iterator[tuple[str, str]]:
    """Fenced blocks of these languages, with the document they stand in."""
    for path in documents():
        if {"reference", "_build"} & set(path.parts):
            continue
        for language, text in BLOCK.findall(path.read_text(encoding="utf-8")):
            if language in languages:
                yield path.relative_to(ROOT).as_posix(), text


def command_lines() -> list[tuple[str, tuple[str, ...]]]:
    """The words after `passloop` of every command in console and shell blocks."""
    found = []
    for document, text in blocks("console", "sh"):
        lines = text.splitlines()
        prompts = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in prompts or lines:
            found += [(document, words) for words in passloop_words(line) if words]
    return found


def passloop_words(line: str) -> Iterator[tuple[str, ...]]:
    command: list[str] | None = None
    for word in [*shlex.split(line.replace(";", " ; "), comments=True), ";"]:
        if word in SEPARATORS:
            if command is not None:
                yield tuple(command)
            command = None
        elif command is not None:
            command.append(word)
        elif word == "passloop":
            command = []


def specs() -> list[tuple[str, str]]:
    written = [(document, text) for document, text in blocks("yaml") if any(f"{kind}:" in text for kind in READERS)]
    paths = [path for path in (ROOT / "examples").rglob("*.yaml") if path.parent.name != "tasks"]
    files = [(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]
    return written + sorted(files)


def test_documents_hold_commands_and_specs() -> None:
    assert len(command_lines()) > 40
    assert len(specs()) > 2


@pytest.mark.parametrize(("document", "words"), sorted(set(command_lines())))
def test_a_documented_command_is_understood(document: str, words: tuple[str, ...]) -> None:
    context = click.Context(program, info_name="passloop")
    if words[0].startswith("-"):
        program.make_context("passloop", list(words))
        return
    command = program.get_command(context, words[0])
    assert command is not None, f"{document}: there is no verb {words[0]}"
    command.make_context(words[0], list(words[1:]), parent=context)


@pytest.mark.parametrize(("document", "text"), specs())
def test_a_documented_spec_is_valid(document: str, text: str) -> None:
    file = parse_spec(text.encode(), name=document, folder=ROOT)
    READERS[file.kind](file)


@pytest.mark.parametrize(("document", "text"), specs())
def test_an_editor_with_the_schema_finds_nothing_wrong_in_a_documented_spec(document: str, text: str) -> None:
    file = parse_spec(text.encode(), name=document, folder=ROOT)
    jsonschema.validate(file.root.plain(), schema_of(file.kind, OTHERS))

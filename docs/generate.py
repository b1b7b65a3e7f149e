"""Writes docs/reference from the code: every verb with its options, and the JSON Schema of every spec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
from click.testing import CliRunner

from passloop.cli.program import program

REFERENCE = Path(__file__).parent / "reference"


def command_page(group: click.Group) -> Iterator[str]:
    """The page of all verbs, as its help prints them."""
    context = click.Context(group, info_name="passloop", max_content_width=100)
    yield "# Commands\n"
    yield f"```text\n{group.get_help(context)}\n```\n"
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield from _verb(command, click.Context(command, parent=context, info_name=name), level=2)


def _verb(command: click.Command, context: click.Context, *, level: int) -> Iterator[str]:
    yield f"{'#' * level} `{context.command_path}`\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from _verb(below, click.Context(below, parent=context, info_name=name), level=level + 1)


def spec_page(group: click.Group) -> Iterator[str]:
    """The page of specs: what `passloop schema KIND` prints for each kind."""
    yield "# Specs\n"
    for kind in ("run", "bench"):
        answer = CliRunner().invoke(group, ["schema", kind], catch_exceptions=False)
        schema = json.loads(answer.stdout)
        yield f"## `{kind}`\n"
        yield f"What `passloop schema {kind}` prints; editors read it, and specs are checked by it.\n"
        yield f"```json\n{json.dumps(schema, indent=2)}\n```\n"


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    (REFERENCE / "cli.md").write_text("\n".join(command_page(program)), encoding="utf-8")
    (REFERENCE / "spec.md").write_text("\n".join(spec_page(program)), encoding="utf-8")

"""`passloop generate`: a dataset from LLM endpoints, cell by cell. The same spec again asks only for what is missing.

With an engine it follows; without one it is the engine.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.exits import Exit
from passloop.cli.homes import home_of
from passloop.cli.launching import client_with_engine, engine_environment
from passloop.cli.options import engine_options, json_option

if TYPE_CHECKING:
    from passloop.apps.generate.summary import Summary
    from passloop.cli.generating import Generate

__all__ = ["command"]


@click.command("generate")
@click.argument("spec", metavar="SPEC")
@click.option("--preview", type=click.IntRange(min=1), metavar="N", help="Make N rows, print them, write no file.")
@click.option("--row", type=click.IntRange(min=0), metavar="N", help="Show row N: prompts, answers, attempts.")
@click.option("--detach", is_flag=True, help="Ctrl-C leaves the run to the next engine.")
@engine_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    spec: str,
    preview: int | None,
    row: int | None,
    detach: bool,
    as_json: bool,
    **flags: str | None,
) -> int:
    """Make a dataset: ask every cell that has no answer yet, and write the rows.

    \b
    passloop generate tickets.yaml              the same again runs only what is missing or failed
    passloop generate tickets.yaml --preview 5  five rows, printed
    passloop generate tickets.yaml --row 12     one row with its prompts, answers and attempts
    """
    home = home_of(ctx)
    if row is not None:
        return _show_row(spec, home, row, as_json=as_json)
    follows = Client(home).alive()
    made = _opened(spec, home, rows=preview, environ=None if follows else dict(os.environ))
    if follows:
        return _tell(made, _follow(client_with_engine(home, flags), made), as_json=as_json)
    return _tell(made, _be_engine(home, engine_environment(flags), made, detach=detach), as_json=as_json)


def _show_row(path: str, home: str, row: int, *, as_json: bool) -> int:
    from passloop.apps.generate.dataset import dataset_of_file
    from passloop.apps.spec_file import load_spec
    from passloop.cli.generate_results import show_row

    show_row(home, dataset_of_file(load_spec(path, kind="generate"), cwd=Path.cwd()), row, as_json=as_json)
    return 0


def _opened(path: str, home: str, *, rows: int | None, environ: dict[str, str] | None) -> Generate:
    from passloop.apps.generate.dataset import dataset_of_file
    from passloop.apps.spec_file import load_spec
    from passloop.cli.generating import Generate

    file = load_spec(path, kind="generate")
    dataset = dataset_of_file(file, cwd=Path.cwd(), environ=environ, looks_for_code=True, rows=rows)
    return Generate(dataset, home=home, writes=rows is None)


Ended = list["Summary | None"]


def _be_engine(home: str, environment: dict[str, str], made: Generate, *, detach: bool) -> Ended:
    from passloop.cli.foreground import Own, be_engine_or_follow

    def work(client: Client, own: Own) -> Ended:
        return [made.work(client, own.note_run)]

    return be_engine_or_follow(home, environment, work, lambda client: _follow(client, made), detach=detach) or []


def _follow(client: Client, made: Generate) -> Ended:
    try:
        return [made.work(client.patient(), lambda _run: None)]
    except KeyboardInterrupt:
        if made.run is not None:
            run = made.run["id"]
            streams.say(f"\ndetached; the run goes on. End it: passloop cancel @{run}   Look again: the same command")
        return []


def _tell(made: Generate, ended: Ended, *, as_json: bool) -> int:
    """The summary or the preview, and the exit code."""
    if not ended:
        return int(Exit.INTERRUPTED)
    summary = ended[0]
    if summary is None:
        return _tell_preview(made, as_json=as_json)
    if as_json:
        streams.emit_json(summary.document(made.run))
    else:
        for line in summary.lines():
            streams.emit(streams.clean(line))
    return summary.exit_code


def _tell_preview(made: Generate, *, as_json: bool) -> int:
    rows = made.rows()
    if as_json:
        streams.emit_json({"schema_version": 1, "run": made.run, "rows": rows})
    for number, row in enumerate(() if as_json else rows):
        streams.emit(f"row {number} ({row['_status']})")
        for name in made.dataset.outputs:
            streams.emit(f"  {name}: {streams.clean(json.dumps(row[name], ensure_ascii=False))}")
    return 0 if all(row["_status"] in ("kept", "dropped") for row in rows) else 1

"""`passloop tune`: the best serving configuration of an engine, by trials. The same spec again runs what is missing.

With an engine it follows; without one it is the engine. `tune rescore` judges stored trials again and runs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import home_of
from passloop.cli.launching import client_with_engine, engine_environment
from passloop.cli.options import engine_options, json_option

if TYPE_CHECKING:
    from passloop.apps.tune.report.standing import Standing
    from passloop.cli.tuning import Tune

__all__ = ["command"]


@click.command("tune")
@click.argument("words", nargs=-1, metavar="SPEC | rescore RUN")
@click.option("--import", "task_file", metavar="FILE", help="Print the spec that an autotuner's task JSON means.")
@click.option("--slo", "spec", metavar="SPEC", help="With rescore: judge by the objectives and SLOs of this spec.")
@click.option("--detach", is_flag=True, help="Ctrl-C leaves what runs to the next engine.")
@engine_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    words: tuple[str, ...],
    task_file: str | None,
    spec: str | None,
    detach: bool,
    as_json: bool,
    **flags: str | None,
) -> int:
    """Find the best configuration of a model server: run trials, and print the best with its command.

    \b
    passloop tune server.yaml                  the same again runs only what is missing or failed
    passloop tune rescore server               judge stored trials again, without any server
    passloop tune --import task.json           the spec of an autotuner's task, and what it drops

    Exit code 0: the search is complete and something is feasible; 1: nothing is, or the same command would measure
    something again (a server that failed; running out of memory and missing an SLO are findings).
    """
    if task_file is not None and words:
        raise CliError("--import takes one file and nothing beside it", hint="passloop tune --import task.json")
    if task_file is not None:
        return _import(task_file)
    home = home_of(ctx)
    if words[:1] == ("rescore",):
        return _rescore(home, words[1:], spec, as_json=as_json)
    if len(words) != 1:
        raise CliError("tune takes one spec", hint="passloop tune SPEC.yaml")
    if spec is not None:
        raise CliError("--slo goes with rescore", hint=f"passloop tune rescore RUN --slo {spec}")
    made = _opened(words[0], home)
    if Client(home).alive():
        standing = _follow(client_with_engine(home, flags), made)
    else:
        standing = _be_engine(home, engine_environment(flags), made, detach=detach)
    return _tell(made, standing, as_json=as_json)


def _opened(path: str, home: str) -> Tune:
    from passloop.apps.spec_file import load_spec
    from passloop.apps.tune.presence import missing_parts
    from passloop.apps.tune.study import study_of_file
    from passloop.cli.tuning import Tune

    file = load_spec(path, kind="tune")
    study = study_of_file(file, cwd=Path.cwd())
    missing = missing_parts(file, study, environ=os.environ)
    if missing:
        raise file.error(missing)
    for note in study.notes:
        streams.say(f"note: {note}")
    return Tune(study, home=home)


def _be_engine(home: str, environment: dict[str, str], made: Tune, *, detach: bool) -> Standing | None:
    from passloop.cli.foreground import Own, be_engine_or_follow

    def work(client: Client, own: Own) -> Standing:
        return made.work(client, own.note_run)

    return be_engine_or_follow(home, environment, work, lambda client: _follow(client, made), detach=detach)


def _follow(client: Client, made: Tune) -> Standing | None:
    try:
        return made.work(client.patient(), lambda _run: None)
    except KeyboardInterrupt:
        if made.run is not None:
            run = made.run["id"]
            streams.say(f"\ndetached; the study goes on. End it: passloop cancel @{run}   Look again: the same command")
        return None


def _tell(made: Tune, standing: Standing | None, *, as_json: bool) -> int:
    """The document or the table, and the exit code."""
    from passloop.cli.tuning import table_lines

    if standing is None:
        return int(Exit.INTERRUPTED)
    if as_json:
        streams.emit_json(made.document(standing))
    else:
        for line in table_lines(standing, width=streams.width()):
            streams.emit(line)
    return standing.exit_code


def _rescore(home: str, words: tuple[str, ...], spec: str | None, *, as_json: bool) -> int:
    from passloop.cli.tune_results import rescore

    if len(words) != 1:
        raise CliError("tune rescore takes one run", hint="passloop tune rescore last")
    return rescore(home, words[0], spec, as_json=as_json)


def _import(path: str) -> int:
    """The spec on stdout, what was dropped beside it; exit 2 if something of it has to be mended by hand."""
    from passloop.apps.tune.importing import imported

    try:
        data = Path(path).read_bytes()
    except OSError as refused:
        raise CliError(f"{path} cannot be read: {refused.strerror}", hint="passloop tune --import task.json") from None
    found = imported(data, name=path)
    streams.emit_data(found.spec.rstrip("\n"))
    for line in found.dropped:
        streams.say(f"dropped: {streams.clean(line)}")
    for line in found.wrong:
        streams.say(f"to mend: {streams.clean(line)}")
    return int(Exit.USAGE if found.wrong else Exit.OK)

"""`passloop bench`: a matrix of models x sparse attention x benchmarks, run, followed and told as a table.

With an engine it follows; without one it is the engine. `bench verify` and `bench rescore` look at results only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import home_of
from passloop.cli.launching import client_with_engine, engine_environment
from passloop.cli.options import engine_options, json_option
from passloop.cli.wording import command_text, ids_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from passloop.cli.benching import Bench, Told

__all__ = ["command"]

_ACTIONS = ("verify", "rescore")


@click.command("bench")
@click.argument("words", nargs=-1, metavar="SPEC | verify RUN | rescore RUN")
@click.option("--first", type=click.Choice(["longest", "shortest", "dense"]), help="Which cells come first.")
@click.option("--fail-fast", is_flag=True, help="End with the first cell that fails.")
@click.option("--follow", "again", type=click.IntRange(1), metavar="RUN", help="Follow a run of this spec; start none.")
@click.option("--detach", is_flag=True, help="Ctrl-C leaves what runs to the next engine.")
@engine_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    words: tuple[str, ...],
    first: str | None,
    fail_fast: bool,
    again: int | None,
    detach: bool,
    as_json: bool,
    **flags: str | None,
) -> int:
    """Run every cell of a matrix that is not complete, and print the table.

    \b
    passloop bench matrix.yaml           the same again runs only what is missing or failed
    passloop bench m.yaml --follow 7     watch run 7 of it again, and write its summary
    passloop bench verify matrix         look for missing, empty, truncated, mismatching files
    passloop bench rescore matrix        score stored answers again, without any model
    RUN is the name of a run, or the folder of its results.
    """
    home = home_of(ctx)
    if words[:1] and words[0] in _ACTIONS:
        return _act(home, words, as_json=as_json)
    if len(words) != 1:
        raise CliError("bench takes one spec", hint="passloop bench SPEC.yaml")
    bench = _opened(words[0], home, first=first, fail_fast=fail_fast)
    if again is not None:
        told = _following(lambda: bench.follow(client_with_engine(home, flags).patient(), again), f"@{again}")
    elif Client(home).alive():
        told = _follow(client_with_engine(home, flags), bench)
    else:
        told = _be_engine(home, engine_environment(flags), bench, detach=detach)
    return _tell(bench, told, as_json=as_json)


def _opened(path: str, home: str, *, first: str | None, fail_fast: bool) -> Bench:
    from passloop.apps.bench.matrix import matrix_of_file
    from passloop.apps.bench.models.places import models_kept_in
    from passloop.apps.bench.presence import check_presence
    from passloop.apps.bench.session import Session
    from passloop.apps.spec_file import load_spec
    from passloop.cli.benching import Bench
    from passloop.clock import SystemClock

    file = load_spec(path, kind="bench")
    with models_kept_in(home):
        matrix = matrix_of_file(file, cwd=os.getcwd(), first=first)
        check_presence(file, matrix, environ=os.environ)
        session = Session(matrix, clock=SystemClock(), fail_fast=fail_fast)
        return Bench(session, session.look(), spec=path)


def _act(home: str, words: tuple[str, ...], *, as_json: bool) -> int:
    from passloop.cli.bench_actions import rescore_results, verify_results

    if len(words) != 2:
        from passloop.cli.bench_reports import newest_matrix

        fix = command_text(["passloop", "bench", words[0], newest_matrix(home) or "RUN"])
        raise CliError(f"bench {words[0]} takes one run or folder", hint=streams.clean(fix))
    act = verify_results if words[0] == "verify" else rescore_results
    return act(home, words[1], as_json=as_json)


def _be_engine(home: str, environment: dict[str, str], bench: Bench, *, detach: bool) -> Told | None:
    from passloop.cli.foreground import Own, be_engine_or_follow

    def work(client: Client, own: Own) -> Told:
        return bench.work(client, own.tasks.extend, note_run=own.note_run)

    if not bench.missing:
        return bench.told_at_once()
    return be_engine_or_follow(home, environment, work, lambda client: _follow(client, bench), detach=detach)


def _follow(client: Client, bench: Bench) -> Told | None:
    own: list[int] = []
    return _following(lambda: bench.work(client.patient(), own.extend), own)


def _following(work: Callable[[], Told], which: str | list[int]) -> Told | None:
    try:
        return work()
    except KeyboardInterrupt:
        ids = which if isinstance(which, str) else ids_text(which)
        streams.say(f"\ndetached; the cells go on. Look again: passloop wait {ids}   End them: passloop cancel {ids}")
        return None


def _tell(bench: Bench, told: Told | None, *, as_json: bool) -> int:
    """The table or the document, and the exit code."""
    from passloop.cli.benching import document_of, table_of_told

    if told is None:
        return int(Exit.INTERRUPTED)
    if as_json:
        streams.emit_json(document_of(told, bench.out))
    else:
        for line in table_of_told(bench, told):
            streams.emit(line)
    return told.exit_code

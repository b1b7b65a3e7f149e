"""The short way through `submit`: options read without click, one request, one line. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from passloop.cli import streams
from passloop.cli.homes import named_home
from passloop.cli.said import COMMON_OPTIONS, SUBMIT_OPTIONS, read_words
from passloop.cli.submitting import post_submission, request_of
from passloop.cli.wording import counted, ids_text

__all__ = ["quick_submit", "submit"]


def quick_submit(words: Sequence[str]) -> int | None:
    """`passloop submit` with these words; None where click had better look."""
    read = read_words(words, (*SUBMIT_OPTIONS, *COMMON_OPTIONS))
    if read is None or not read.words:
        return None
    home, _ = named_home(read.values.pop("home"))
    submit(home, read.words, read.values)
    return 0


def submit(home: str, words: tuple[str, ...], said: dict[str, Any]) -> None:
    """Store tasks, starting the daemon if no engine runs, and print their ids."""
    from passloop.cli.launching import client_with_engine

    flags = {name: said.pop(name) for name in ("virtual_gpus", "cpus_total")}
    as_json, held = said.pop("as_json"), said.pop("held")
    request = request_of(words, said, home=home, held=held)
    answer = post_submission(client_with_engine(home, flags), request)
    if as_json:
        streams.emit_json({name: answer[name] for name in ("schema_version", "run", "tasks")})
        return
    streams.emit(ids_text(answer["tasks"]))
    _say_existing(answer)


def _say_existing(answer: dict[str, Any]) -> None:
    existing, tasks = answer.get("existing") or [], answer["tasks"]
    if len(tasks) > 1:
        run = answer["run"]
        streams.say(f"{counted(len(tasks), 'task')} in run {run['id']} ({streams.clean(run['name'])})")
    if existing:
        streams.say(f"{counted(len(existing), 'task')} of them were there already, by key: {ids_text(existing)}")

"""The short way through `submit`: options read without click, one request, one line. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from passloop.cli import streams
from passloop.cli.homes import named_home
from passloop.cli.said import COMMON_OPTIONS, SUBMIT_OPTIONS, read_words
from passloop.cli.submitting import next_selector, post_submission, request_of, say_other_command, say_rejected
from passloop.cli.wording import counted, ids_text

__all__ = ["quick_submit", "submit"]


def quick_submit(words: Sequence[str]) -> int | None:
    """`passloop submit` with these words; None where click had better look."""
    read = read_words(words, (*SUBMIT_OPTIONS, *COMMON_OPTIONS))
    if read is None or not read.words:
        return None
    home, _ = named_home(read.values.pop("home"))
    return submit(home, read.words, read.values)


def submit(home: str, words: tuple[str, ...], said: dict[str, Any]) -> int:
    """Store tasks, starting the daemon if no engine runs, and print their ids. 1 if cells were rejected, else 0."""
    from passloop.cli.launching import client_with_engine

    flags = {name: said.pop(name) for name in ("virtual_gpus", "cpus_total")}
    as_json = said.pop("as_json")
    request = request_of(words, said, home=home)
    client = client_with_engine(home, flags)
    answer = post_submission(client, request)
    if as_json:
        streams.emit_json({name: answer[name] for name in ("schema_version", "run", "tasks")})
    else:
        streams.emit(ids_text(answer["tasks"]))
        _say_stored(answer, spec=bool(request.spec))
    say_other_command(client, answer, request)
    return int(bool(request.spec) and say_rejected(client, answer, request.spec))


def _say_stored(answer: dict[str, Any], *, spec: bool) -> None:
    existing, tasks, run = answer.get("existing") or [], answer["tasks"], answer["run"]
    if existing and len(tasks) == 1:
        streams.say("it was there already, by key")
    elif existing:
        were = "was" if len(existing) == 1 else "were"
        streams.say(f"{len(existing):,} of {len(tasks):,} tasks {were} there already, by key: {ids_text(existing)}")
    if len(tasks) > 1 or spec:
        words = next_selector(run, tasks, existing=bool(existing), spec=spec)
        name = streams.clean(run["name"])
        streams.say(f"{counted(len(tasks), 'task')} in run {run['id']} ({name}): passloop wait {words}")

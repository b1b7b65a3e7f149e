"""From the words of `run` and `submit` to a stored run: options or a spec become one request to the engine.

What may be said and what it means is decided in `apps.queue`; nothing is stored unless the engine says so.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from passloop.cli import streams
from passloop.cli.client import Client, EngineUnanswered
from passloop.cli.defaults import with_chosen_spans
from passloop.cli.differing import say_what_lacks_here
from passloop.cli.exits import CliError, Exit
from passloop.cli.pausing import told_of_a_pause
from passloop.cli.programs import refuse_what_is_no_program
from passloop.cli.wording import ENDING, command_text, counted, ids_text

__all__ = ["Request", "is_spec", "next_selector", "post_submission", "request_of", "say_other_command", "say_rejected"]

_SPEC_ENDINGS = (".yaml", ".yml", ".json")
_LOOK = "look with passloop ls before you submit it again; with --key the same again is one task"
_COMPARED = 20
"""With so many tasks that were there already a command is compared: each is asked for on its own."""


class Request(NamedTuple):
    """A request body, ready to be sent, and the spec file it came from ("": it did not), else the commands in it."""

    body: bytes
    spec: str = ""
    commands: tuple[list[str], ...] = ()


def is_spec(words: tuple[str, ...]) -> bool:
    """Whether the words name a spec file (`-` is standard input) and not a command."""
    return len(words) == 1 and (words[0] == "-" or words[0].endswith(_SPEC_ENDINGS))


def request_of(words: tuple[str, ...], said: dict[str, Any], *, home: str, verb: str = "submit") -> Request:
    """The submission of a command with its options, or of a spec. Raises `SpecError`, `CliError`."""
    if not words:
        raise CliError("there is no command", hint=f"passloop {verb} --help")
    _refuse_words_after_a_spec(words, verb)
    if is_spec(words):
        return _spec_request(words[0], said, home)
    refuse_what_is_no_program(words, said, verb)
    return _command_request(words, said, home, verb)


def _refuse_words_after_a_spec(words: tuple[str, ...], verb: str) -> None:
    """Whoever writes an option behind a spec means no command of this name."""
    path = words[0]
    if len(words) > 1 and path.endswith(_SPEC_ENDINGS) and os.path.isfile(path) and not os.access(path, os.X_OK):
        what = f"`{streams.clean(path)}` is a spec, and nothing goes after it: `{streams.clean(words[1])}`"
        raise CliError(what, hint=command_text(["passloop", verb, path]) + " (options come before it)")


def post_submission(client: Client, request: Request) -> dict[str, Any]:
    """Store it: `{"run", "tasks", "existing"}`, durable when this returns. Raises `CliError`; where no answer came, it
    says that it may be stored all the same.
    """
    try:
        with told_of_a_pause(client):
            answer = client.post_bytes("/submit", request.body)
    except EngineUnanswered as lost:
        lost.hint = _LOOK
        raise
    except KeyboardInterrupt:
        what = "interrupted before the engine had answered; it may have stored the work all the same"
        raise CliError(what, hint=_LOOK, exit_code=Exit.INTERRUPTED) from None
    except CliError as refused:
        if refused.exit_code == Exit.NEVER_FITS:
            say_what_lacks_here(client)
        raise
    if answer.get("ending"):
        streams.say(ENDING)
    return answer


def next_selector(run: dict[str, Any], tasks: list[int], *, existing: bool, spec: bool) -> str:
    """What selects the tasks of a submission, as a shell takes it: its run, unless others are of earlier ones."""
    if not existing:
        return f"@{run['id']}"
    return command_text([f"@{run['name']}"]) if spec and not run["name"].isdigit() else ids_text(tasks)


def say_other_command(client: Client, answer: dict[str, Any], request: Request) -> None:
    """A key stands for the task that it made first: tell if that runs something else than was asked for now."""
    there = set(answer["existing"])
    pairs = [pair for pair in zip(answer["tasks"], request.commands, strict=False) if pair[0] in there]
    for task, command in pairs[:_COMPARED]:
        runs = client.get(f"/tasks/{task}")["task"]["command"]
        if runs != command:
            said = streams.clean(command_text(runs))
            streams.say(f"but task {task}, which this key stands for, runs another command: {said}")
            streams.say("  what runs something else wants another --key")
            return


def say_rejected(client: Client, answer: dict[str, Any], spec: str) -> bool:
    """Tell which cells of the spec were rejected because they can never fit; whether there are any."""
    if len(answer["tasks"]) == len(answer["existing"]):
        return False
    found = client.get("/tasks", [("select", f"@{answer['run']['id']}"), ("state", "rejected")])["tasks"]
    if not found:
        return False
    why = streams.clean(str(found[0]["message"])).removeprefix("it can never fit on this machine: ")
    cells = counted(len(answer["tasks"]), "cell")
    again = command_text(["passloop", "plan", spec])
    streams.say(f"{len(found):,} of {cells} can never fit here and were rejected: {why}\n  {again}")
    return True


def _command_request(words: tuple[str, ...], said: dict[str, Any], home: str, verb: str) -> Request:
    from passloop.apps.queue.documents import document_bytes
    from passloop.apps.queue.options import SubmitOptions, document_of

    if any(said.get(name) for name in ("after", "after_any")):
        from passloop.cli.coming_after import with_named_tasks

        said = with_named_tasks(said, home)
    options = SubmitOptions(**with_chosen_spans(said))
    document = document_of(options, words, _place(home), verb=verb)
    return Request(document_bytes(document), commands=tuple(list(task["command"]) for task in document["tasks"]))


def _spec_request(path: str, said: dict[str, Any], home: str) -> Request:
    _refuse_options({name: value for name, value in said.items() if name != "held"})
    from passloop.apps.queue.sweep import sweep_of
    from passloop.apps.queue.wire import encode_submission
    from passloop.apps.spec_file import load_spec

    place = _place(home)
    sweep = sweep_of(load_spec(path), place)
    return Request(encode_submission(sweep.submission(place, held=bool(said.get("held")))), spec=path)


def _refuse_options(said: dict[str, Any]) -> None:
    """A spec says everything itself; an option that would be passed over is an error."""
    given = [name for name, value in said.items() if value not in (None, False, (), 0, "default")]
    if given:
        option = "--" + given[0].replace("or_variants", "or").replace("_", "-")
        raise CliError(f"{option} does not go with a spec", hint="write it into the spec: passloop schema run")


def _place(home: str) -> Any:
    from passloop.apps.queue.options import Place

    return Place(cwd=os.getcwd(), environment=os.environ, snapshot=lambda folder: _snapshot(folder, home))


def _snapshot(folder: str, home: str) -> str:
    from pathlib import Path

    from passloop.apps.queue.snapshot import take_snapshot
    from passloop.store.home import Home

    place = Home(Path(home))
    place.prepare()
    return take_snapshot(folder, home=place.path)

"""From the words of `run` and `submit` to a stored run: options or a spec become one request to the engine.

What may be said and what it means is decided in `apps.queue`; nothing is stored unless the engine says so.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from passloop.cli.client import Client
from passloop.cli.defaults import with_chosen_spans
from passloop.cli.exits import CliError, Exit

__all__ = ["Request", "is_spec", "post_submission", "request_of"]

_SPEC_ENDINGS = (".yaml", ".yml")


class Request(NamedTuple):
    """A request body, ready to be sent, and whether it came from a spec."""

    body: bytes
    spec: bool


def is_spec(words: tuple[str, ...]) -> bool:
    """Whether the words name a spec file and not a command."""
    return len(words) == 1 and words[0].endswith(_SPEC_ENDINGS)


def request_of(words: tuple[str, ...], said: dict[str, Any], *, home: str, held: bool = False) -> Request:
    """The submission of a command with its options, or of a spec. Raises `SpecError`, `CliError`."""
    if not words:
        raise CliError("there is no command", hint="passloop submit --help")
    return _spec_request(words[0], said, home) if is_spec(words) else _command_request(words, said, home, held)


def post_submission(client: Client, request: Request) -> dict[str, Any]:
    """Store it: `{"run", "tasks", "existing"}`, durable when this returns."""
    try:
        return client.post_bytes("/submit", request.body)
    except CliError as refused:
        if refused.exit_code == Exit.NEVER_FITS and not refused.hint:
            refused.hint = "ask for less, give a smaller form with --or, or wait for it with --wait-for-capacity"
        raise


def _command_request(words: tuple[str, ...], said: dict[str, Any], home: str, held: bool) -> Request:
    from passloop.apps.queue.options import SubmitOptions, submission_of
    from passloop.apps.queue.wire import encode_submission

    options = SubmitOptions(**with_chosen_spans(said), held=held)
    return Request(encode_submission(submission_of(options, words, _place(home))), spec=False)


def _spec_request(path: str, said: dict[str, Any], home: str) -> Request:
    _refuse_options(said)
    from passloop.apps.queue.sweep import sweep_of
    from passloop.apps.queue.wire import encode_submission
    from passloop.apps.spec_file import load_spec

    place = _place(home)
    sweep = sweep_of(load_spec(path), place)
    return Request(encode_submission(sweep.submission(place)), spec=True)


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

"""Tells a person that a running engine was started with other settings than those they named. It changes nothing: an
engine keeps its settings until it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from passloop.apps.errors import SpecError
from passloop.cli import streams
from passloop.cli.exits import CliError

if TYPE_CHECKING:
    from passloop.cli.client import Client

__all__ = ["say_differing", "say_what_lacks_here"]


def say_what_lacks_here(client: Client) -> None:
    """Say which settings of this command's environment are not the engine's: what it refused may be there by them."""
    with suppress(CliError, SpecError):  # the refusal is what matters
        say_differing(client.get("/status")["engine"], {})


def say_differing(engine: Mapping[str, Any], flags: Mapping[str, str | None], *, only_flags: bool = False) -> None:
    """Say what `engine` (of `/status`) runs with where flags, environment or files say something else."""
    from passloop.apps.settings import ENGINE_SETTINGS
    from passloop.cli.configured import settings_here
    from passloop.cli.wording import command_text

    mine, theirs = settings_here(flags), engine.get("settings") or {}
    said = [one for one in ENGINE_SETTINGS if mine.origins[one.name] != "default"]
    if only_flags:
        said = [one for one in said if flags.get(one.name) is not None]
    differing = [one for one in said if one.read_again(theirs.get(one.variable)) != mine[one.name]]
    for one in differing:
        running = streams.clean(theirs.get(one.variable) or "none")
        streams.say(f"{one.variable}: the engine runs with {running}, not with {mine.written[one.name]}")
    if differing:
        given = [word for one in differing if (text := flags.get(one.name)) for word in (one.option, text)]
        again = command_text(["passloop", "up", *given])
        streams.say(f"it keeps what it was started with; to restart it with yours: passloop down && {again}")

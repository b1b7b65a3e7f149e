"""Which home a command means, and the client of its engine. It makes nothing and checks nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from passloop.cli.client import Client
from passloop.cli.defaults import chosen_setting

if TYPE_CHECKING:
    import click

__all__ = ["client_of", "home_of", "home_with_origin", "named_home", "no_store_text"]


def home_of(ctx: click.Context) -> str:
    """The absolute path of the home: `--home`, else `PASSLOOP_HOME`, else the XDG state directory."""
    return home_with_origin(ctx)[0]


def home_with_origin(ctx: click.Context) -> tuple[str, str]:
    """The home and where it was named."""
    return named_home(ctx.find_root().obj)


def named_home(chosen: str | None) -> tuple[str, str]:
    """The home and where it was named; `chosen` is the flag's value."""
    if chosen:
        return os.path.abspath(os.path.expanduser(chosen)), "--home"
    named = os.environ.get("PASSLOOP_HOME")
    if named:
        return os.path.abspath(os.path.expanduser(named)), "PASSLOOP_HOME"
    written = chosen_setting("home")
    if written is not None:
        return os.path.abspath(os.path.expanduser(written)), "settings file"
    from platformdirs import user_state_dir

    return user_state_dir("passloop"), "default"


def no_store_text(home: str) -> str:
    """Which home has nothing, and how another is named: most often its name is misspelt."""
    from passloop.cli import streams

    return f"nothing was ever stored in the home {streams.clean(home)} (another one: --home or PASSLOOP_HOME)"


def client_of(ctx: click.Context) -> Client:
    """The client of the home's engine, whether or not there is one."""
    return Client(home_of(ctx))

"""`passloop ui`: opens the page in a browser, or prints its one-time address. Starts the daemon if there is none."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import click

from passloop.cli import streams
from passloop.cli.homes import home_of
from passloop.cli.launching import client_with_engine
from passloop.cli.options import engine_options, json_option

__all__ = ["command"]

_SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
_OPENER = "open.html"
_ON_TO_THE_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>passloop</title>
<meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={url}">
<p><a href="{url}">Open the page</a></p></html>
"""


@click.command("ui")
@click.option("--no-open", is_flag=True, help="Only print the address.")
@engine_options
@json_option
@click.pass_context
def command(
    ctx: click.Context, *, no_open: bool, virtual_gpus: str | None, cpus_total: str | None, as_json: bool
) -> None:
    """Open the page. The address works once, within ten minutes; after that the browser knows the page.

    \b
    passloop ui                 on a desktop: opens the browser
    passloop ui --no-open       prints the address only
    """
    home = home_of(ctx)
    client = client_with_engine(home, {"virtual_gpus": virtual_gpus, "cpus_total": cpus_total})
    answer = client.post("/page", timeout=60)
    if as_json:
        streams.emit_json(answer)
        return
    streams.emit(answer["url"])
    if not no_open and _has_screen():
        _open(answer["url"], home)
    elif os.environ.get("SSH_CONNECTION"):
        port = urlsplit(answer["url"]).port
        streams.say(f"from your own machine, with this port on both sides: ssh -L {port}:127.0.0.1:{port} HOST")


def _has_screen() -> bool:
    """Whether a browser that is started here would be seen."""
    return not os.environ.get("SSH_CONNECTION") and any(os.environ.get(name) for name in _SCREENS)


def _open(url: str, home: str) -> None:
    """Let the browser open it by way of a file: what stands in a command line every user of the machine can read."""
    import webbrowser  # here, because no other command needs it

    try:
        file = _opener(url, Path(home))
    except OSError as error:
        streams.say(f"{home} takes no file for the browser ({error.strerror}): open the address yourself")
        return
    if webbrowser.open(file.as_uri()):
        streams.say("if the browser may not read the file (one from a snap may not), open the address yourself")
    else:
        streams.say("no browser could be started: open the address yourself")


def _opener(url: str, home: Path) -> Path:
    """A file of the home, for its user alone, that leads to the address. Raises `OSError`."""
    import html

    from passloop.cli.whole_files import write_whole_text

    file = home / _OPENER
    write_whole_text(file, _ON_TO_THE_PAGE.format(url=html.escape(url)), mode=0o600)
    return file

"""`passloop config`: every setting, its value and where it comes from. It changes nothing."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.homes import home_with_origin
from passloop.cli.options import act_argument, json_option
from passloop.cli.tables import Column, table

__all__ = ["command"]

_COLUMNS = (
    Column("SETTING"),
    Column("VALUE", shrinks=True),
    Column("FROM", shrinks=True, spare=1),
    Column("WHAT FOR", shrinks=True, wraps=True),
)


@click.command("config")
@act_argument("show", "[show]")
@json_option
@click.pass_context
def command(ctx: click.Context, *, act: str | None, as_json: bool) -> None:
    """Show every setting: flag, environment, project file, user file or default."""
    from passloop.apps.settings import PROJECT_FILE, user_file
    from passloop.cli.configured import settings_here

    home, origin = home_with_origin(ctx)
    rows = settings_here({"home": home if origin == "--home" else None}).rows()
    for row in rows:
        if row["name"] == "home":
            row |= {"value": home, "origin": origin}
    if as_json:
        streams.emit_json({"schema_version": 1, "settings": rows})
        return
    for line in table(_COLUMNS, [_cells(row) for row in rows], width=streams.width()):
        streams.emit(line)
    streams.say(f"files: {PROJECT_FILE} in the project, {user_file()}")


def _cells(row: dict[str, Any]) -> list[str]:
    value = row["value"]
    shown = "" if value is None else ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [row["name"], shown, row["origin"], f"{row['about']} ({row['variable']})"]

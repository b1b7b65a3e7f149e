"""`passloop pools`: capacities, limits, cooldowns; and the way to open a closed pool by hand."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import quoted
from passloop.cli.exits import CliError
from passloop.cli.homes import client_of
from passloop.cli.options import act_argument, json_option
from passloop.cli.spans import local_time
from passloop.cli.tables import Column, table
from passloop.cli.wording import amount_text, ids_text
from passloop.kernel.pools import NO_RATE

__all__ = ["command"]

_COLUMNS = (
    Column("POOL", shrinks=True),
    Column("KIND", spare=3),
    Column("STATE"),
    Column("USED", right=True, spare=2),
    Column("FREE", right=True),
    Column("OF", right=True),
    Column("UNTIL", spare=1),
    Column("HELD BY", shrinks=True),
)


@click.command("pools")
@act_argument("open", "[open")
@click.argument("name", required=False, metavar="NAME]")
@json_option
@click.pass_context
def command(ctx: click.Context, *, act: str | None, name: str | None, as_json: bool) -> None:
    """Show the pools. `pools open NAME` lets a closed one be tried again."""
    client = client_of(ctx)
    if act is not None:
        if name is None:
            raise CliError("open which pool?", hint="passloop pools")
        answer = client.post(f"/pools/{quoted(name)}/open")
        streams.emit_json(answer) if as_json else streams.emit(f"{streams.clean(name)} is tried again")
        return
    answer = client.get("/pools", timeout=60)
    if as_json:
        streams.emit_json(answer)
        return
    pools = answer["pools"]
    colours = [["", "", "" if pool["state"] == "open" else "yellow", *[""] * 5] for pool in pools]
    for line in table(_COLUMNS, [_cells(pool) for pool in pools], width=streams.width(), colours=colours):
        streams.emit(line)


def _cells(pool: dict[str, Any]) -> list[str]:
    holders = f"task {ids_text(pool['holders'])}" if pool.get("holders") else ""
    is_unknown = pool["capacity"] >= NO_RATE
    told = {"used": pool["used"]} if is_unknown else pool
    amounts = [amount_text(pool["name"], told.get(part)) for part in ("used", "free", "capacity")]
    return [pool["name"], pool["kind"], pool["state"], *amounts, local_time(pool.get("until")), holders]

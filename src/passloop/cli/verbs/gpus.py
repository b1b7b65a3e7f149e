"""`passloop gpus`: who holds which GPU, and the way out of quarantine."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import quoted
from passloop.cli.differing import say_what_lacks_here
from passloop.cli.exits import CliError
from passloop.cli.homes import client_of
from passloop.cli.options import act_argument, json_option
from passloop.cli.parked import worker_lines
from passloop.cli.tables import Column, table
from passloop.cli.wording import ids_text

__all__ = ["command"]

_COLUMNS = (
    Column("GPU", right=True),
    Column("NAME", shrinks=True, spare=3),
    Column("STATE"),
    Column("VRAM", right=True, spare=2),
    Column("FREE", right=True, spare=1),
    Column("HELD BY", shrinks=True),
    Column("UUID"),
)
_COLOURS = {"free": "green", "held": "cyan", "shared": "cyan", "quarantined": "red", "lost": "red", "foreign": "yellow"}


@click.command("gpus")
@act_argument("release", "[release")
@click.argument("uuid", required=False, metavar="UUID]")
@json_option
@click.pass_context
def command(ctx: click.Context, *, act: str | None, uuid: str | None, as_json: bool) -> None:
    """Show the GPUs. `gpus release UUID` vouches for a quarantined one."""
    client = client_of(ctx)
    if act is not None:
        if uuid is None:
            raise CliError("release which GPU?", hint="passloop gpus (the last column has the UUIDs)")
        answer = client.post(f"/gpus/{quoted(uuid)}/release")
        streams.emit_json(answer) if as_json else streams.emit(f"{uuid} may be used again")
        return
    answer = client.get("/gpus", timeout=60)
    if as_json:
        streams.emit_json(answer)
        return
    if not answer["gpus"]:
        say_what_lacks_here(client)
    _show(answer["gpus"])
    for line in worker_lines(answer.get("workers") or ()):
        streams.emit(line)


def _show(gpus: list[dict[str, Any]]) -> None:
    if not gpus:
        streams.say("no GPUs here; passloop doctor says why, PASSLOOP_VIRTUAL_GPUS=4x80GiB pretends some")
        return
    colours = [["", "", _COLOURS.get(gpu["state"], ""), "", "", "", ""] for gpu in gpus]
    for line in table(_COLUMNS, [_cells(gpu) for gpu in gpus], width=streams.width(), colours=colours):
        streams.emit(line)
    for gpu in gpus:
        _emit_notes(gpu)


def _cells(gpu: dict[str, Any]) -> list[str]:
    virtual = " (virtual)" if gpu.get("virtual") else ""
    held_by = gpu.get("holders") or ()
    holders = f"task{'s' if len(held_by) > 1 else ''} {ids_text(held_by)}" if held_by else ""
    return [
        str(gpu["index"]),
        f"{gpu['name']}{virtual}",
        gpu["state"],
        _gib(gpu["vram_mib"]),
        _gib(gpu["free_mib"]),
        holders,
        gpu["uuid"],
    ]


def _emit_notes(gpu: dict[str, Any]) -> None:
    for one in gpu.get("foreign") or []:
        streams.emit(f"  gpu {gpu['index']}: {streams.clean(_use(one))}")
    if gpu.get("fault"):
        streams.emit(f"  gpu {gpu['index']}: {streams.clean(gpu['fault'])}")
    if gpu.get("reserved_for"):
        streams.emit(f"  gpu {gpu['index']}: kept for task {gpu['reserved_for']}")
    if gpu["state"] == "quarantined":
        streams.emit(f"  gpu {gpu['index']}: vouch for it with: passloop gpus release {gpu['uuid']}")


def _use(one: dict[str, Any]) -> str:
    """What is not ours on a device: a process and what it uses, or another home, which has it whole."""
    user, name = (str(one.get(part) or "") for part in ("user", "name"))
    if not one["pid"]:
        return f"{name} ({user}) has it" if user else f"{name} has it"
    return f"pid {one['pid']} ({f'{user} {name}'.strip()}) uses {_gib(one.get('vram_mib', 0))}"


def _gib(mib: int) -> str:
    return f"{mib / 1024:.1f} GiB"

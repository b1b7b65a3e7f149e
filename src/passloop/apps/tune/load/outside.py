"""Runs a foreign load client as a process of its own, once for each repeat, and reads what it left.

It has a session of its own, so that cancelling the load ends all that it started: first politely, then not. What it
says goes to a file beside its results. Nothing here knows what it measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import LoadOrder, Point

from .adapters.base import Adapter, Asked, NoOutput, OutsideOptions
from .adapters.table import ADAPTERS
from .client import Progress, Repeat
from .errors import ClientFailed
from .prompts import prompts_of
from .requests import RequestRecord

__all__ = ["outside_repeats", "read_outside"]

GRACE_SECONDS = 5.0
SAID = "said.log"
SHOWN = 5


def read_outside(options: Mapping[str, Any]) -> OutsideOptions:
    """The options of an order for a foreign client. Raises `BadValue`."""
    try:
        return msgspec.convert(dict(options), OutsideOptions)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(OutsideOptions))
        raise BadValue(f"load.options cannot be read: {error}", f"a foreign client knows {known}") from None


async def outside_repeats(
    order: LoadOrder,
    point: Point,
    base: str,
    *,
    model: str,
    folder: Path,
    progress: Callable[[Progress], None] | None = None,
) -> list[Repeat]:
    """All repeats of a point by the client that the order names. Raises `BadValue`, `ClientFailed`."""
    adapter, options = _adapter(order.client), read_outside(order.options)
    program = _program(adapter, options)
    prompts = prompts_of(order.prompts, seed=order.seed, digest=order.prompts_digest)
    count = point.warmup + point.requests
    repeats = []
    for number in range(point.repeats):
        own = folder / f"{order.client}-{point.name}-{number}"
        own.mkdir(parents=True, exist_ok=True)
        asked = Asked(
            order=order,
            point=point,
            options=options,
            model=model,
            url=base.removesuffix("/v1"),
            folder=own,
            repeat=number,
        )
        words = adapter.words(asked)
        adapter.write_prompts(asked, [prompts.prompt(point.name, number * count + place) for place in range(count)])
        _tell(progress, point, number, done=0)
        code = await _run([program, *words], env=adapter.env({**os.environ, **options.env}), folder=own)
        repeats.append(_repeat(adapter, asked, code))
        _tell(progress, point, number, done=point.requests, records=repeats[-1].records)
        if repeats[-1].stopped is not None:
            break
    return repeats


def _adapter(client: str) -> Adapter:
    if client not in ADAPTERS:
        raise BadValue(f"there is no load client {client!r}", f"use builtin, {', '.join(ADAPTERS)}")
    return ADAPTERS[client]


def _program(adapter: Adapter, options: OutsideOptions) -> str:
    found = shutil.which(options.program or adapter.program)
    if found is None:
        raise BadValue(
            f"there is no program {options.program or adapter.program!r}",
            "install it in an environment of its own and give its path as load.options.program",
        )
    if adapter.tokenizer and options.tokenizer is None:
        raise BadValue(
            f"{adapter.program} wants a tokenizer", "give a folder or a name that it can load as load.options.tokenizer"
        )
    return found


def _repeat(adapter: Adapter, asked: Asked, code: int) -> Repeat:
    """What a run gave. One that measured counts, whatever its exit code: some end with 1 if requests failed."""
    try:
        records = tuple(adapter.records(asked))
    except NoOutput as nothing:
        records, reason = (), str(nothing)
    else:
        reason = "it measured no request"
    if not records:
        last = (asked.folder / SAID).read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN:]
        said = "\n".join(last)
        raise ClientFailed(f"{adapter.program} ended with code {code}; {reason}. Its last words:\n{said}")
    errors = sum(record.error is not None for record in records)
    most = asked.options.most_errors
    failed = most is not None and errors > most * len(records)
    return Repeat(records=records, stopped="error_rate" if failed else None)


async def _run(words: list[str], *, env: Mapping[str, str], folder: Path) -> int:
    """Run it to its end; cancelled, end it and all that it started."""
    with (folder / SAID).open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=said,
            stderr=asyncio.subprocess.STDOUT,
            env=env,
            cwd=folder,
            start_new_session=True,
        )
    try:
        return await process.wait()
    finally:
        await asyncio.shield(_end(process))


async def _end(process: asyncio.subprocess.Process) -> None:
    """End what is left of its session."""
    if process.returncode is None:
        _signal(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), GRACE_SECONDS)
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _tell(
    progress: Callable[[Progress], None] | None,
    point: Point,
    repeat: int,
    *,
    done: int,
    records: tuple[RequestRecord, ...] = (),
) -> None:
    if progress is not None:
        errors = sum(record.error is not None for record in records)
        progress(
            Progress(
                point=point.name,
                phase="measuring",
                repeat=repeat,
                repeats=point.repeats,
                done=done,
                requests=point.requests,
                errors=errors,
                in_flight=0,
            )
        )

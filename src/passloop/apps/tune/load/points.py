"""Loads a running server with one point of an order and says what it measured: `load` is all that a trial calls.

The requests of the built-in client are appended to `requests.jsonl`, those of the warm-up are not. Another client is
run as its own process. Cancelled, it leaves no request and no process behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import LoadOrder, Point, PointResult, Slo
from passloop.apps.tune.scoring.slo import request_limits
from passloop.drivers.calls.secrets import KeyMissing, resolve

from .client import WARMUP, Asking, Progress, Repeat, RepeatRun
from .errors import NoModel
from .options import Options, read_options
from .prompts import prompts_of
from .requests import RequestRecord, Sender
from .results import point_result
from .transport import Refused, Transport

__all__ = ["api_base", "load", "records_in"]

REQUESTS = "requests.jsonl"
BUILTIN = "builtin"


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model] = []


async def load(
    order: LoadOrder,
    point: Point,
    url: str,
    *,
    slo: Sequence[Slo] = (),
    folder: Path | None = None,
    gpus: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> PointResult:
    """Load the server at `url` (with or without `/v1`) with this point.

    `slo` decides which requests are good (goodput, attainment), `gpus` share the rates, `folder` takes the requests.
    Raises `BadValue` for an order that cannot be, `LoadFailed` if the server names no model or a foreign client ends
    without a result. What goes wrong with requests is counted and never raised; a point that was given up says so in
    `stopped`.
    """
    if order.client == BUILTIN:
        options = read_options(order.options)
        counted = options.tokens
        repeats = await _built_in(order, point, api_base(url), options, folder, progress)
    else:
        counted = "usage"
        repeats = await _outside(order, point, api_base(url), folder, progress)
    return point_result(
        point,
        [repeat.records for repeat in repeats],
        limits=request_limits(slo, point.name),
        gpus=gpus,
        counted=counted,
        stopped=repeats[-1].stopped if repeats else None,
        saturated=any(repeat.saturated for repeat in repeats),
    )


def api_base(url: str) -> str:
    """The URL up to and with `/v1`."""
    plain = url.rstrip("/")
    return plain if plain.endswith("/v1") else f"{plain}/v1"


def records_in(path: Path) -> list[RequestRecord]:
    """The records of a `requests.jsonl`; a last line that was cut off is left out."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=RequestRecord) for line in lines if line]


async def _built_in(
    order: LoadOrder,
    point: Point,
    base: str,
    options: Options,
    folder: Path | None,
    progress: Callable[[Progress], None] | None,
) -> list[Repeat]:
    """All repeats of a point, up to the one that was given up."""
    prompts = prompts_of(order.prompts, seed=order.seed, digest=order.prompts_digest)
    key = _key(options.api_key)
    repeats: list[Repeat] = []
    async with AsyncExitStack() as opened:
        transport = Transport(base, reuse=options.reuse, key=key)
        opened.push_async_callback(transport.close)
        sender = Sender(transport, order, options, order.model or await _model(transport))
        asking = Asking(sender, prompts, options, order.seed)
        write = _writer(folder, opened)
        for number in range(point.repeats):
            repeats.append(await _repeat(asking, point, number, write, progress))
            if repeats[-1].stopped is not None:
                break
    return repeats


async def _outside(
    order: LoadOrder, point: Point, base: str, folder: Path | None, progress: Callable[[Progress], None] | None
) -> list[Repeat]:
    """All repeats by a foreign client; its requests are written down as the built-in client's are."""
    from .outside import outside_repeats  # here: with its adapters it is the larger half, and few trials want it

    async with AsyncExitStack() as opened:
        transport = Transport(base)
        opened.push_async_callback(transport.close)
        model = order.model or await _model(transport)
        own = folder or Path(opened.enter_context(TemporaryDirectory(prefix="passloop-load-")))
        repeats = await outside_repeats(order, point, base, model=model, folder=own, progress=progress)
        write = _writer(folder, opened)
        for record in (record for repeat in repeats for record in repeat.records):
            write(record)
    return repeats


def _key(reference: str | None) -> str | None:
    """The key that a reference names. Raises `BadValue`."""
    if reference is None:
        return None
    try:
        return resolve(reference)
    except KeyMissing as missing:
        raise BadValue(f"load.options.api_key: {missing}", "name a key that is there, or leave it out") from None


async def _repeat(
    asking: Asking,
    point: Point,
    number: int,
    write: Callable[[RequestRecord], None],
    progress: Callable[[Progress], None] | None,
) -> Repeat:
    """The warm-up of a repeat and then its measured part."""
    first = number * (point.warmup + point.requests)
    if point.warmup:
        warming = RepeatRun(asking, point, repeat=number, phase=WARMUP, progress=progress)
        warmed = await warming.run(first=first)
        if warmed.stopped is not None:
            return warmed
    measured = RepeatRun(asking, point, repeat=number, progress=progress)
    return await measured.run(first=first + point.warmup, on_record=write)


def _writer(folder: Path | None, opened: AsyncExitStack) -> Callable[[RequestRecord], None]:
    if folder is None:
        return lambda _: None
    file = opened.enter_context((folder / REQUESTS).open("ab"))
    encoder = msgspec.json.Encoder()

    def write(record: RequestRecord) -> None:
        file.write(encoder.encode(record) + b"\n")

    return write


async def _model(transport: Transport) -> str:
    """The first model that the server names."""
    try:
        found = msgspec.json.decode(await transport.get("/models"), type=_Models)
    except (Refused, msgspec.DecodeError) as error:
        raise NoModel(f"{error}; say load.model") from None
    if not found.data:
        raise NoModel("the server names no model; say load.model")
    return found.data[0].id

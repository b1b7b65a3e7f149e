"""`passloop schema`: the JSON Schema of a spec, for editors and other programs."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams

__all__ = ["OTHERS", "command"]


@click.command("schema")
@click.argument("kind", default="run", metavar="[KIND]")
def command(*, kind: str) -> None:
    """Print the JSON Schema of a spec: run (the default), bench, generate, tune; or wire, the body of a submission."""
    from passloop.apps.queue.schema import schema_of

    streams.emit_json(schema_of(kind, OTHERS))


def _bench() -> dict[str, Any]:
    from passloop.apps.bench.schema import bench_schema

    return bench_schema()


def _generate() -> dict[str, Any]:
    from passloop.apps.generate.spec import GenerateSpec

    return GenerateSpec.model_json_schema(by_alias=True)


def _tune() -> dict[str, Any]:
    from passloop.apps.tune.spec import TuneSpec

    return TuneSpec.model_json_schema(by_alias=True)


OTHERS = {"bench": _bench, "generate": _generate, "tune": _tune}

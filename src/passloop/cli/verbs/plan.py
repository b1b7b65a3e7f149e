"""`passloop plan`: what a spec would do here, and what can never fit. It submits nothing and starts nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.exits import Exit
from passloop.cli.homes import home_of
from passloop.cli.options import engine_options, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from passloop.apps.bench.plan import BenchPlan
    from passloop.apps.errors import Problem
    from passloop.apps.generate.plan import GeneratePlan
    from passloop.apps.queue.plan import Box, Plan
    from passloop.apps.spec_file import SpecFile
    from passloop.apps.tune.plan import TunePlan

    AnyPlan = Plan | BenchPlan | GeneratePlan | TunePlan

__all__ = ["command"]


@click.command("plan")
@click.argument("spec", metavar="SPEC")
@click.option("--all", "whole", is_flag=True, help="Show every command, not the first ten.")
@engine_options
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    spec: str,
    whole: bool,
    virtual_gpus: str | None,
    cpus_total: str | None,
    as_json: bool,
) -> int:
    """Expand and check a spec: count, exact commands, estimate, what can never fit. Submits nothing."""
    from passloop.apps.errors import SpecError
    from passloop.cli.launching import engine_environment

    try:
        environment = engine_environment({"virtual_gpus": virtual_gpus, "cpus_total": cpus_total})
        plan = _planned(spec, home_of(ctx), environment, whole=whole)
    except SpecError as wrong:
        if as_json:
            streams.emit_json({"schema_version": 1, "problems": _plain(wrong.problems)})
        raise
    missing: tuple[Problem, ...] = getattr(plan, "missing", ())
    if as_json:
        problems = {"problems": _plain(missing)} if missing else {}
        streams.emit_json({**plan.as_json(), "text": plan.as_text(), **problems})
    else:
        streams.emit(plan.as_text())
    if missing:
        raise SpecError(missing)
    return int(Exit.NEVER_FITS if plan.impossible else Exit.OK)


def _plain(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [each._asdict() for each in problems]


def _planned(spec: str, home: str, environment: Mapping[str, str], *, whole: bool) -> AnyPlan:
    """The plan of a spec of any kind. Raises `SpecError`."""
    from passloop.apps.spec_file import load_spec

    file = load_spec(spec)
    client = Client(home)
    makers: dict[str, Callable[..., AnyPlan]]
    makers = {"bench": _bench_plan, "generate": _generate_plan, "tune": _tune_plan}
    make = makers.get(file.kind, _sweep_plan)
    return make(file, home, lambda: _box_of_engine(client) if client.alive() else _box_here(environment), whole)


def _sweep_plan(file: SpecFile, home: str, box: Callable[[], Box], whole: bool) -> Plan:
    from passloop.apps.queue.options import Place
    from passloop.apps.queue.plan import plan_of
    from passloop.apps.queue.sweep import sweep_of
    from passloop.store.estimates import learned_means
    from passloop.store.home import Home

    place = Place(cwd=os.getcwd(), environment=os.environ, snapshot=lambda folder: folder)
    sweep = sweep_of(file, place)
    learned = learned_means(Home(Path(home)))
    first = sweep.points if whole else 10
    return plan_of(sweep, box=box(), learned=learned, states=lambda keys: _states(home, keys), first=first)


def _bench_plan(file: SpecFile, home: str, box: Callable[[], Box], whole: bool) -> BenchPlan:
    from passloop.apps.bench.models.places import models_kept_in
    from passloop.cli.bench_plans import bench_plan

    with models_kept_in(home):
        return bench_plan(file, box, first=None if whole else 10)


def _generate_plan(file: SpecFile, home: str, _box: Callable[[], Box], _whole: bool) -> GeneratePlan:
    plan = _dataset_plan(file, home)
    _say_lacking(file, None if Client(home).alive() else dict(os.environ))
    return plan


def _say_lacking(file: SpecFile, environ: Mapping[str, str] | None) -> None:
    """What a dataset would lack here, its keys and the modules of its python columns: it can be planned without. Keys
    are looked for in `environ`, none with None: a running engine has its own.
    """
    from passloop.apps.errors import SpecError
    from passloop.apps.generate.dataset import dataset_of_file

    try:
        dataset_of_file(file, cwd=Path.cwd(), environ=environ, looks_for_code=True)
    except SpecError as lacking:
        for problem in lacking.problems:
            streams.say(f"it would not start yet: {problem.where}: {problem.what}")


def _dataset_plan(file: SpecFile, home: str) -> GeneratePlan:
    from passloop.apps.generate.dataset import dataset_of_file
    from passloop.apps.generate.plan import plan_of
    from passloop.store.home import Home
    from passloop.store.reader import Reader

    dataset = dataset_of_file(file, cwd=Path.cwd())
    if not (Path(home) / "store.sqlite").exists():
        return plan_of(dataset)
    with Reader.open(Home(Path(home))) as reader:
        return plan_of(dataset, reader)


def _tune_plan(file: SpecFile, home: str, box: Callable[[], Box], whole: bool) -> TunePlan:
    from passloop.cli.tune_plans import tune_plan

    return tune_plan(file, home, box, first=None if whole else 10)


def _box_of_engine(client: Client) -> Box:
    from passloop.apps.queue.plan import box_of_views

    return box_of_views(client.get("/gpus", timeout=60)["gpus"], client.get("/pools", timeout=60)["pools"])


def _box_here(environment: Mapping[str, str]) -> Box:
    """What an engine that started now would have. Raises `SpecError` if a setting of it cannot be."""
    from passloop.apps.errors import Problem, SpecError
    from passloop.apps.queue.plan import Box
    from passloop.devices.errors import DeviceError
    from passloop.devices.opening import open_inventory
    from passloop.engine.capacity import CapacityError, declared_pools

    try:
        pools = declared_pools(environment)
        inventory = open_inventory(environment)
    except (DeviceError, CapacityError) as error:
        raise SpecError([Problem(str(error).rstrip("."), "passloop config shows where it is set")]) from None
    try:
        return Box(devices=inventory.look(), pools=pools)
    finally:
        inventory.close()


def _states(home: str, keys: Sequence[str]) -> Mapping[str, str]:
    """How the newest task of each key stands, from the store; a home without one knows nothing."""
    from passloop.cli.reads import Ask
    from passloop.cli.store_reads import StoreReads

    if not (Path(home) / "store.sqlite").exists():
        return {}
    tasks: list[dict[str, Any]] = StoreReads(home).tasks(Ask())["tasks"]
    wanted = set(keys)
    return {task["key"]: task["state"] for task in tasks if task["key"] in wanted}

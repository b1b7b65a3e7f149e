"""The sweep spec: the model of a YAML file whose first key is `run`. It says what may be written; `sweep.py`
what it means.

Strict: no text is taken for a number and no number for text, except that numbers in `command` and `env` are
kept as they are written.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from passloop.apps.errors import BadValue
from passloop.apps.spec_file import SpecFile
from passloop.apps.spec_values import check_command, check_variables, in_a_list
from passloop.apps.text import check_group, check_run_name, shown
from passloop.apps.units import GpuAsk, cpus_milli, duration_ms, gpu_ask, size_mib

from . import spec_checks as check
from .arrays import MOST_POINTS
from .spec_checks import MOST_SEEDS, REPLICA, SEED

__all__ = ["AS_WRITTEN", "Further", "Resources", "Retries", "Scalar", "SweepSpec", "read_sweep"]

AS_WRITTEN = frozenset({"command", "env"})
HIGHEST_LIMIT = 1_000_000
MOST_RETRIES = 1_000

Scalar = str | int | float | bool | None


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema, mode="validation")


def _one_or_more(**one: Any) -> WithJsonSchema:
    return _schema(anyOf=[one, {"type": "array", "items": one}])


SCALARS = {"type": ["string", "number", "boolean", "null"]}
DURATION = _schema(type=["string", "number"], pattern=r"^[0-9.]+ ?(ms|s|m|h|d)?$", minimum=0)
SIZE = _schema(type=["string", "integer"], pattern=r"^[0-9.]+ ?([KMGTkmgt]?[iI]?[Bb])?$")
NUMBER = _schema(type=["number", "string"], minimum=0)
WORD = {"type": ["string", "number", "boolean"]}
AXES_SCHEMA = {"type": "object", "additionalProperties": {"type": "array", "minItems": 1, "items": SCALARS}}
EXCLUDED = {
    "type": "object",
    "additionalProperties": {"anyOf": [SCALARS, {"type": "array", "items": SCALARS}]},
}

Duration = Annotated[int, PlainValidator(duration_ms), DURATION]
Limit = Annotated[int, PlainValidator(check.check_limit), DURATION]
Size = Annotated[int, PlainValidator(size_mib), SIZE]
Cpus = Annotated[int, PlainValidator(cpus_milli), NUMBER]
Gpus = Annotated[GpuAsk, PlainValidator(gpu_ask), NUMBER]
Count = Annotated[int, Field(ge=0, le=MOST_RETRIES)]
Pattern = Annotated[str, AfterValidator(check.check_pattern)]
Command = Annotated[list[str], BeforeValidator(check_command), _schema(type="array", minItems=1, items=WORD)]
Axes = Annotated[dict[str, list[Scalar]], PlainValidator(check.check_axes), _schema(**AXES_SCHEMA)]
Linked = Annotated[
    list[dict[str, list[Scalar]]],
    PlainValidator(check.check_linked),
    _schema(anyOf=[AXES_SCHEMA, {"type": "array", "items": AXES_SCHEMA}]),
]
Excluded = Annotated[
    list[dict[str, Any]],
    PlainValidator(check.check_excluded),
    _schema(anyOf=[EXCLUDED, {"type": "array", "items": EXCLUDED}]),
]
Texts = Annotated[list[str], BeforeValidator(in_a_list), _one_or_more(type="string")]
Ids = Annotated[
    list[Annotated[int, Field(ge=1, lt=2**62)]],
    BeforeValidator(in_a_list),
    _one_or_more(type="integer", minimum=1),
]
Seeds = Annotated[list[int], BeforeValidator(check.check_seeds), _one_or_more(type="integer")]
Variables = Annotated[
    dict[str, str], BeforeValidator(check_variables), _schema(type="object", additionalProperties=WORD)
]
Need = Annotated[
    dict[str, int],
    PlainValidator(check.check_needs),
    _schema(type="object", additionalProperties={"type": ["integer", "string"]}),
]


class Model(BaseModel):
    """The base: unknown keys are errors, nothing is coerced, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Further(Model):
    """A form of the request. In a further one, what it does not say is as in the first."""

    gpus: Gpus | None = Field(default=None, examples=["2"], description="whole GPUs, or a share of one such as 0.5")
    vram: Size | None = Field(default=None, examples=["20GiB"], description="per GPU")
    cpus: Cpus | None = Field(default=None, examples=["16"])
    mem: Size | None = Field(default=None, examples=["64GiB"], description="host memory; counted only if asked for")
    need: Need = Field(default_factory=dict, examples=["{licence: 1}"], description="amounts of declared pools")
    balance: bool = Field(default=False, examples=["true"], description="GPUs with about equal free memory")


class Resources(Further):
    """What each task needs. With neither `gpus` nor `cpus`, 1 CPU is charged."""

    or_: list[Further] = Field(default_factory=list, alias="or", examples=["[{gpus: 0, cpus: 16}]"])


class Retries(Model):
    """How often a task is tried again after each class of outcome."""

    failure: Count = Field(default=0, examples=["1"])
    timeout: Count = Field(default=0, examples=["1"])
    out_of_memory: Count = Field(default=1, examples=["1"])
    lost: Count = Field(default=5, examples=["5"])


class SweepSpec(Model):
    """A sweep: a command template over a matrix of parameters."""

    run: Annotated[str, AfterValidator(check_run_name)] = Field(examples=["digits"], description="the run's name")
    command: Command = Field(
        examples=['["{python}", train.py, --depth, "{depth}"]'],
        description="a list of words; {index}, {python} and axis names in braces are replaced",
    )
    matrix: Axes = Field(default_factory=dict, examples=["{depth: [2, 4, 8]}"], description="axes, all combined")
    zip: Linked = Field(
        default_factory=list,
        examples=["{model: [a, b], size: [1, 2]}"],
        description="axes that move together",
    )
    exclude: Excluded = Field(default_factory=list, examples=["[{depth: 8}]"], description="cells to leave out")
    when: Texts = Field(default_factory=list, examples=['"depth < 8"'], description="what holds for every cell")
    seeds: Seeds = Field(default_factory=list, examples=["3"], description="axis seed: how many, or a list")
    replicas: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = Field(
        default=1, examples=["3"], description="axis replica: how often each cell runs"
    )
    resources: Resources = Field(default=Resources(), examples=["{cpus: 1, gpus: 0}"])
    time_limit: Limit | None = Field(default=None, examples=["10m"])
    grace: Duration = Field(default=30_000, examples=["30s"], json_schema_extra={"default": "30s"})
    retries: Retries = Field(default=Retries(), examples=["{failure: 1}"])
    env: Variables = Field(default_factory=dict, examples=['{OMP_NUM_THREADS: "1"}'])
    cwd: str | None = Field(None, examples=["."], description="relative to this file; else where you submit from")
    group: Annotated[str, AfterValidator(check_group)] = Field(default="default", examples=["default"])
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(default=0, examples=["10"])
    max_parallel: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        None, examples=["4"], description="how many cells run at once; else as many as fit"
    )
    name: Pattern | None = Field(None, examples=['"depth {depth}"'], description="template of each task's name")
    key: Pattern | None = Field(None, examples=['"digits/{depth}"'], description="template of each task's key")
    after: Ids = Field(default_factory=list, examples=["[12]"], description="tasks that must succeed first")
    after_any: Ids = Field(default_factory=list, examples=["[12]"], description="tasks that must end first")
    deadline: Limit | None = Field(default=None, examples=["1d"])
    patience: Duration | None = Field(default=None, examples=["1h"])
    snapshot: bool = Field(default=False, examples=["true"], description="copy the code and run from the copy")
    wait_for_capacity: bool = Field(default=False, examples=["true"])
    limit: Annotated[int, Field(ge=1, le=HIGHEST_LIMIT)] = Field(
        default=MOST_POINTS, examples=["200000"], description="refuse a sweep of more points than this"
    )

    @model_validator(mode="after")
    def _axes_are_distinct(self) -> SweepSpec:
        names = [*self.matrix, *(name for group in self.zip for name in group)]
        names += [SEED] * bool(self.seeds) + [REPLICA] * (self.replicas > 1)
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise BadValue(f"the axis {shown(double)} is there twice", "keep it in one of matrix, zip and seeds")
        return self


def read_sweep(file: SpecFile) -> SweepSpec:
    """The sweep in `file`. Raises `SpecError` with every mistake found."""
    if file.kind != "run":
        fix = f"use `passloop {file.kind}`, or begin the spec with `run: NAME`"
        raise file.error([file.complaint((file.kind,), f"this is a {file.kind} spec, not a sweep", fix)])
    return file.read(SweepSpec, as_written=AS_WRITTEN)

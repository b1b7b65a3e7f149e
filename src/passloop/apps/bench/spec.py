"""The bench spec: the model of a YAML file whose first key is `bench`. It says what may be written; `matrix.py` what
it means.

The same classes, made in Python, are the typed form for generated grids. Strict: unknown keys are errors with a
suggestion. Only a sparse attention configuration and a benchmark take further keys: the method's parameters and the
benchmark's options, which are checked by whoever they are for.
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
)

from passloop.apps.spec_file import SpecFile
from passloop.apps.spec_values import check_command, check_variables, in_a_list
from passloop.apps.text import check_group, check_run_name
from passloop.apps.units import GpuAsk, duration_ms

from . import spec_checks as check
from .errors import ErrorClass
from .order import First

__all__ = [
    "AS_WRITTEN",
    "BenchSpec",
    "Benchmark",
    "Breaker",
    "Defaults",
    "ModelEntry",
    "Override",
    "Resources",
    "Settings",
    "SparseAttention",
    "check_kind",
    "read_bench",
]

AS_WRITTEN = frozenset({"command", "env"})
MOST_RETRIES = 1_000


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema, mode="validation")


NAMES_OR = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
ROW = {"type": "object", "additionalProperties": NAMES_OR, "minProperties": 1}

Duration = Annotated[int, PlainValidator(duration_ms), _schema(type=["string", "number"])]
Limit = Annotated[int, PlainValidator(check.check_limit), _schema(type=["string", "number"])]
Size = Annotated[int | str, PlainValidator(check.size_or_auto), _schema(type=["string", "integer"])]
Cpus = Annotated[int, PlainValidator(check.check_cpus), _schema(type=["number", "string"], minimum=0)]
Gpus = Annotated[GpuAsk | str, PlainValidator(check.gpus_or_auto), _schema(type=["number", "string"])]
Count = Annotated[int, Field(ge=0, le=MOST_RETRIES)]
Samples = Annotated[int, Field(ge=1, le=10_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Seeds = Annotated[list[int], BeforeValidator(check.check_seeds)]
Command = Annotated[list[str], BeforeValidator(check_command)]
Variables = Annotated[dict[str, str], BeforeValidator(check_variables)]
Arguments = Annotated[dict[str, Any], BeforeValidator(check.check_arguments)]
Subsets = Annotated[list[str], BeforeValidator(check.check_subsets)]
Row = Annotated[dict[str, Any], PlainValidator(check.check_row), _schema(**ROW)]
Rows = Annotated[list[Row], BeforeValidator(in_a_list)]
Need = Annotated[dict[str, Annotated[int, Field(ge=1)]], Field(default_factory=dict)]


class Model(BaseModel):
    """The base: unknown keys are errors, nothing is coerced, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Resources(Model):
    """What each cell needs. `gpus: auto` is none without real GPUs, else a share by the memory formula, and what is
    meant where nothing is said and models are looked up; `share` is that share on virtual GPUs too.
    """

    gpus: Gpus | None = Field(default=None, examples=["auto"], description="auto, share, whole GPUs or 0.5 of one")
    vram: Size | None = Field(default=None, examples=["20GiB"], description="per GPU; else by the memory formula")
    cpus: Cpus | None = Field(default=None, examples=["1"])
    mem: Size | None = Field(
        default=None, examples=["4GiB"], description="host memory, or auto: what the cell is thought to take"
    )
    need: Need = Field(default_factory=dict, examples=["{licence: 1}"], description="amounts of declared pools")


class Settings(Model):
    """What may be said for all cells, for those of a model or of a benchmark, or by an override."""

    generation: Arguments = Field(default_factory=dict, examples=["{max_new_tokens: 16}"])
    samples: Samples | None = Field(default=None, examples=["8"], description="at most so many samples a cell")
    time_limit: Limit | None = Field(default=None, examples=["30m"])
    resources: Resources = Field(default=Resources(), examples=["{gpus: auto, cpus: 1}"])
    load: Arguments = Field(default_factory=dict, examples=["{dtype: bfloat16}"], description="load arguments")


class Defaults(Settings):
    """What holds for every cell that says nothing else."""

    seed: Seed = Field(default=0, examples=["0"])


class ModelEntry(Settings):
    """One model: a path, a hub id or the name of a packaged one; nothing for adapters that take any name."""

    source: str = Field(default="", examples=["smollm2"])
    revision: str | None = Field(default=None, examples=["main"])
    options: Arguments = Field(default_factory=dict, description="what the adapter may want to know beside")


class SparseAttention(BaseModel):
    """One configuration: a method and its parameters; nothing at all is dense."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    method: Annotated[str, Field(min_length=1)] | None = Field(default=None, examples=["knorm"])

    @property
    def parameters(self) -> dict[str, Any]:
        """The method's parameters as written."""
        return dict(self.model_extra or {})


class Benchmark(Settings):
    """One benchmark and its subsets, each of them a cell; further keys are the benchmark's options."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, populate_by_name=True)

    subsets: Subsets = Field(default_factory=list, examples=["[single_512]"])
    metric: str | None = Field(default=None, examples=["exact_match"], description="the metric that tables show")

    @property
    def options(self) -> dict[str, Any]:
        """The benchmark's options as written."""
        return dict(self.model_extra or {})


class Override(Model):
    """Settings for the cells that `where` names."""

    where: Row = Field(examples=["{model: llama-8b}"])
    set: Settings = Field(examples=["{samples: 4}"])


class Breaker(Model):
    """When a model or a device is taken out for the rest of an invocation; 0 is never."""

    model_cells: Count = Field(default=3, description="so many different cells of a model failed in a row")
    device_models: Count = Field(default=3, description="cells of so many models failed on a device in a row")


class BenchSpec(Model):
    """A matrix of models x sparse attention x benchmarks x subsets."""

    bench: Annotated[str, AfterValidator(check_run_name)] = Field(examples=["niah-on-smollm2"])
    adapter: str = Field(default="hf", examples=["hf"], description="hf, command, python, fake or a plugin")
    command: Command | None = Field(
        default=None,
        examples=['["{python}", eval.py, "{model}", "{subset}"]'],
        description="with adapter command: a list of words; axis names and parameters in braces are replaced",
    )
    python: str | None = Field(None, examples=["package.module:Class"], description="with adapter python: the class")
    options: Arguments = Field(default_factory=dict, description="what the adapter takes beside")
    env: Variables = Field(default_factory=dict, examples=['{HF_HUB_OFFLINE: "1"}'])
    cwd: str | None = Field(None, examples=["."], description="relative to this file; else where you start it")
    models: Annotated[dict[str, ModelEntry], BeforeValidator(check.named_entries)] = Field(
        examples=["{smollm2-135m: {source: smollm2}}"]
    )
    sparse_attention: Annotated[dict[str, SparseAttention], BeforeValidator(check.named_entries)] = Field(
        default_factory=lambda: {"dense": SparseAttention()},
        examples=["{dense: {}, knorm-50: {method: knorm, compression_ratio: 0.5}}"],
    )
    benchmarks: Annotated[dict[str, Benchmark], BeforeValidator(check.named_entries)] = Field(
        examples=["{niah: {subsets: [single_512], samples: 8}}"]
    )
    defaults: Defaults = Field(default=Defaults(), examples=["{generation: {max_new_tokens: 16}, seed: 0}"])
    seeds: Seeds = Field(default_factory=list, examples=["[0, 1, 2]"], description="an axis: how many, or a list")
    include: Rows = Field(default_factory=list, examples=["[{model: a}]"], description="only cells that a row names")
    exclude: Rows = Field(default_factory=list, examples=["[{sparse_attention: b, benchmark: c}]"])
    overrides: list[Override] = Field(default_factory=list, examples=["[{where: {model: a}, set: {samples: 4}}]"])
    resources: Resources = Field(default=Resources(), examples=["{gpus: auto, cpus: 1}"])
    time_limit: Limit | None = Field(default=None, examples=["30m"])
    grace: Duration = Field(default=30_000, examples=["30s"])
    retries: Annotated[dict[ErrorClass, Count], BeforeValidator(check.check_retries)] = Field(
        default_factory=dict, examples=["{network: 5}"], description="how often a cell is tried again, by class"
    )
    warm: bool = Field(
        default=True, examples=["false"], description="keep what is loaded for the next cell; not with adapter command"
    )
    breaker: Breaker = Field(default=Breaker(), examples=["{model_cells: 3}"])
    first: Annotated[First, BeforeValidator(check.check_first)] = Field(default=First.LONGEST, examples=["longest"])
    metric: str | None = Field(default=None, examples=["score"], description="the metric that tables show")
    out: str | None = Field(None, examples=["results/niah"], description="relative to where you start it")
    group: Annotated[str, AfterValidator(check_group)] = Field(default="default", examples=["default"])
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(default=0, examples=["10"])
    patience: Duration | None = Field(default=None, examples=["1h"])
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(default=100_000, description="most cells")


def read_bench(file: SpecFile) -> BenchSpec:
    """The bench spec in `file`. Raises `SpecError` with every mistake found."""
    check_kind(file)
    return file.read(BenchSpec, as_written=AS_WRITTEN)


def check_kind(file: SpecFile) -> None:
    """Raise `SpecError` unless `file` is a bench spec."""
    if file.kind != "bench":
        fix = f"use `passloop {file.kind}`, or begin the spec with `bench: NAME`"
        raise file.error([file.complaint((file.kind,), f"this is a {file.kind} spec, not a matrix", fix)])

"""The tune spec: the model of a YAML file whose first key is `tune`. It says what may be written; `study.py` what it
means, and `checks.py` what is wrong with it beside its form.

Strict: unknown keys are errors with a suggestion, nothing is coerced. Required are `tune`, `engine`, `space`,
`load.points` and `objectives`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from passloop.apps.spec_file import SpecFile
from passloop.apps.spec_values import check_variables, in_a_list
from passloop.apps.text import check_group, check_run_name
from passloop.apps.units import cpus_milli, duration_ms

from . import spec_checks as check
from .measures import OBJECTIVES

__all__ = [
    "AS_WRITTEN",
    "Engine",
    "Family",
    "LimitEntry",
    "Load",
    "MaxLoad",
    "ModelEntry",
    "ObjectiveEntry",
    "ParameterEntry",
    "PointEntry",
    "Resources",
    "Search",
    "TuneSpec",
    "check_kind",
    "plain_of",
]

AS_WRITTEN = frozenset({"argv", "args", "env", "download"})
Family = Literal["vllm", "sglang", "llamacpp", "transformers"]
Sampler = Literal["tpe", "random", "grid", "bruteforce", "nsga2", "gp"]
Arrivals = Literal["poisson", "constant"]


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema, mode="validation")


class _OrShort:
    """In the schema, a short form beside the long one."""

    def __init__(self, **short: Any) -> None:
        self._short = short

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [self._short, handler(core)]}


SCALAR = {"type": ["string", "number", "boolean"]}
SCALARS = {"type": "array", "items": SCALAR, "minItems": 1}
WORDS = _schema(type="array", items=SCALAR)
SETTINGS = _schema(type="object", additionalProperties=SCALAR)

Duration = Annotated[int, PlainValidator(duration_ms), _schema(type=["string", "number"])]
Span = Annotated[int, PlainValidator(check.check_limit), _schema(type=["string", "number"])]
Size = Annotated[int | str, PlainValidator(check.size_or_auto), _schema(type=["string", "integer"])]
Cpus = Annotated[int, PlainValidator(cpus_milli), _schema(type=["number", "string"], minimum=0)]
Gpus = Annotated[int | str, PlainValidator(check.check_gpus), _schema(type=["integer", "string"])]
Argv = Annotated[list[str], BeforeValidator(check.check_argv), WORDS]
Variables = Annotated[
    dict[str, str], BeforeValidator(check_variables), _schema(type="object", additionalProperties=SCALAR)
]
Values = Annotated[list[Any], PlainValidator(check.check_values), _schema(**SCALARS)]
Settings = Annotated[dict[str, Any], PlainValidator(check.check_plain), SETTINGS]
Metric = Annotated[str, BeforeValidator(check.check_metric)]
Place = Annotated[
    str, PlainValidator(check.check_place), _schema(anyOf=[{"type": "string"}, {"type": "object", "maxProperties": 1}])
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Texts = Annotated[list[str], BeforeValidator(in_a_list), _OrShort(type="string")]


class Model(BaseModel):
    """The base: unknown keys are errors, nothing is coerced, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class ModelEntry(Model):
    """What is served. Figures that are left out are read from a local `config.json`, where there is one."""

    source: str = Field(examples=["Qwen/Qwen3-8B"], description="a path or a hub id: {model} in argv")
    weights: Annotated[int, PlainValidator(check.size_mib), _schema(type=["string"])] | None = Field(
        default=None, examples=["16GiB"], description="size of the weights as they are stored"
    )
    layers: Count | None = Field(default=None, examples=["36"])
    heads: Count | None = Field(default=None, examples=["32"], description="attention heads")
    kv_heads: Count | None = Field(default=None, examples=["8"])
    head_dim: Count | None = Field(default=None, examples=["128"])
    experts: Count | None = Field(default=None, examples=["128"])


def _model(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


class Ready(Model):
    """When a server may be loaded."""

    path: str = Field(default="/health", examples=["/health"], pattern="^/")
    timeout: Span = Field(default=600_000, examples=["60s"])


class Engine(Model):
    """The server. `family` gives its argv where there is none, and knows the flags of parameters and presets."""

    kind: Literal["command", "docker"] = Field(default="command", examples=["command"])
    family: Family | None = Field(default=None, examples=["vllm"])
    argv: Argv | None = Field(
        default=None,
        examples=['[vllm, serve, "{model}", --port, "{port}"]'],
        description="a list of words; parameters, {model}, {python}, {host} and {port} in braces are replaced",
    )
    args: Argv = Field(default_factory=list, examples=["[--max-model-len, '4096']"], description="further words")
    env: Variables = Field(default_factory=dict, examples=['{OMP_NUM_THREADS: "1"}'])
    cwd: str | None = Field(default=None, examples=["."], description="relative to this file")
    ready: Ready = Field(default=Ready(), examples=["{path: /health, timeout: 60s}"])
    download: Argv = Field(default_factory=list, examples=["[hf, download, '{model}']"], description="before the clock")
    reset: str | None = Field(default=None, examples=["/reset_prefix_cache"], description="POSTed between points")
    ports: Annotated[int, Field(ge=1, le=256)] = Field(default=16, description="how many in a row from {port} on")
    image: str | None = Field(default=None, examples=["vllm/vllm-openai:v0.11.0"], description="with kind docker")
    options: dict[str, Any] = Field(default_factory=dict, description="of the container, with kind docker")


class ParameterEntry(Model):
    """One parameter. `[a, b]` is short for a choice."""

    type: Literal["int", "float", "choice", "bool", "preset"] = Field(examples=["int"])
    low: Number | int | None = Field(default=None, examples=["1"])
    high: Number | int | None = Field(default=None, examples=["8"])
    step: Number | int | None = Field(default=None, examples=["1"])
    log: bool = False
    values: Values | None = Field(default=None, examples=["[1, 2, 4]"])
    when: str | None = Field(default=None, examples=['"batch >= 128"'])
    default: Any = Field(default=None, examples=["1"], description="where `when` does not hold")
    flag: str | None = Field(default=None, examples=["--max-num-seqs"], description="where argv does not name it")
    off: str | None = Field(default=None, examples=["--no-x"], description="the flag of a bool that is false")


class Resources(Model):
    """What each trial needs."""

    gpus: Gpus | None = Field(
        default=None,
        examples=['"tp * pp * dp"'],
        description="whole GPUs: a number or an expression; else the family's",
    )
    vram: Size | None = Field(default=None, examples=["auto"], description="per GPU")
    cpus: Cpus = Field(
        default=1_000, examples=["1"], json_schema_extra={"default": 1}, description="0 beside GPUs: not counted"
    )
    mem: Annotated[int, PlainValidator(check.size_mib), _schema(type="string")] | None = Field(
        default=None, examples=["16GiB"], description="host memory"
    )
    exclusive: bool = Field(default=False, description="no other run on the node while a trial runs")


class PointEntry(Model):
    """One load: requests in flight, or requests a second; what it does not say is as in `load`."""

    concurrency: Count | None = Field(default=None, examples=["4"])
    rate: Positive | None = Field(default=None, examples=["2.0"])
    arrivals: Arrivals | None = None
    requests: Count | None = Field(default=None, examples=["50"])
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    repeats: Annotated[int, Field(ge=1, le=1_000)] | None = None
    seconds: Positive | None = Field(default=None, examples=["60"])


class MaxLoad(Model):
    """Search on each live server for the highest load that keeps the SLOs: bracket, then bisection."""

    of: Literal["concurrency", "rate"] = Field(default="concurrency", examples=["concurrency"])
    low: Positive = Field(default=1.0, examples=["1"])
    high: Positive = Field(default=256.0, examples=["256"])
    steps: Annotated[int, Field(ge=1, le=100)] = Field(default=12, description="most loads that are tried")


class Load(Model):
    """How a server is loaded."""

    points: Annotated[list[PointEntry], Field(min_length=1, max_length=1_000)] = Field(
        examples=["[{concurrency: 1}, {concurrency: 4}]"]
    )
    client: Annotated[str, BeforeValidator(check.check_client)] = Field(default="builtin", examples=["builtin"])
    prompts: str = Field(default="builtin:short", examples=["builtin:short"], description="or a file")
    model: str | None = Field(default=None, description="the name to ask for; else the server's first")
    max_tokens: Count = Field(default=128, examples=["32"])
    arrivals: Arrivals = "poisson"
    requests: Count = Field(default=50, examples=["50"])
    warmup: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    repeats: Annotated[int, Field(ge=1, le=1_000)] = 1
    seconds: Positive | None = Field(default=None, description="ends a repeat early")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    timeout: Span = Field(default=120_000, examples=["120s"], description="of one request")
    max_load: MaxLoad | None = Field(default=None, examples=["{of: concurrency, high: 64}"])
    options: dict[str, Any] = Field(default_factory=dict, description="the client's own")


class ObjectiveEntry(Model):
    """What is to be made best; a name such as minimize_ttft stands for its metric and direction."""

    metric: Metric = Field(examples=["output_tokens_per_second"])
    stat: str = Field(default="mean", examples=["mean"])
    at: Place | None = Field(default=None, examples=["{concurrency: 4}"])
    direction: Literal["maximize", "minimize"] | None = Field(default=None, examples=["maximize"])


class LimitEntry(Model):
    """An SLO: the most or the least that a metric may be. Latencies have their unit."""

    metric: Metric = Field(examples=["ttft"])
    stat: str = Field(default="mean", examples=["p95"])
    max: str | Number | int | None = Field(default=None, examples=["800ms"])
    min: str | Number | int | None = Field(default=None, examples=["10"])
    at: Place | None = Field(default=None, examples=["{concurrency: 4}"], description="else at each point")
    weight: Annotated[float, Field(gt=0, le=1e6)] = Field(default=1.0, description="of the penalty scorer")
    hard_fail: bool = False
    fail_ratio: Annotated[float, Field(ge=0, le=1e6)] = 0.5


class Search(Model):
    """How candidates are found, and when to stop."""

    sampler: Sampler = Field(default="tpe", examples=["tpe"])
    max_trials: Count | None = Field(default=None, examples=["40"], description="else all of a small space, or 50")
    max_parallel: Annotated[int, Field(ge=1, le=1_024)] = Field(default=1, examples=["2"])
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    baseline: bool | Settings = Field(
        default=True,
        examples=["{batch: 512}"],
        description="trial 0; a parameter that is left out takes its default, else its flag is left out",
    )
    max_gpu_hours: Positive | None = Field(default=None, examples=["8"])
    patience: Count | None = Field(default=None, examples=["6"], description="stop after so many without a gain")
    startup: Annotated[int, Field(ge=1, le=10_000)] = Field(default=5, description="random trials before a model")
    stop_early: bool = Field(default=True, description="give up trials that cannot win")
    same_failures: Annotated[int, Field(ge=0, le=1_000)] = Field(
        default=3, description="pause after so many equal failures in a row; 0 is never"
    )


class Limits(Model):
    """The most that each phase of a trial may take; for the start it is engine.ready.timeout."""

    download: Span = Field(default=3_600_000, examples=["1h"])
    warmup: Span = Field(default=120_000, examples=["2m"])
    point: Span = Field(default=900_000, examples=["15m"])
    stop: Span = Field(default=30_000, examples=["30s"])
    verify: Span = Field(default=30_000, examples=["30s"])
    health: Span = Field(default=30_000, examples=["30s"], description="of a sick or silent server under load")


Parameter = Annotated[ParameterEntry, BeforeValidator(check.check_parameter), _OrShort(**SCALARS)]
ObjectiveOrName = Annotated[
    ObjectiveEntry, BeforeValidator(check.check_objective), _OrShort(type="string", enum=sorted(OBJECTIVES))
]


class TuneSpec(Model):
    """A study: an engine, a search space, a load, objectives and SLOs."""

    tune: Annotated[str, AfterValidator(check_run_name)] = Field(examples=["smollm2-on-llamacpp"])
    model: Annotated[ModelEntry, BeforeValidator(_model), _OrShort(type="string")] | None = Field(
        default=None, examples=["Qwen/Qwen3-8B"]
    )
    engine: Engine = Field(examples=["{family: vllm}"])
    space: Annotated[dict[str, Parameter], BeforeValidator(check.check_names)] = Field(
        examples=["{tp: [1, 2], max_num_seqs: {type: int, low: 64, high: 512, step: 64}}"]
    )
    fixed: Settings = Field(default_factory=dict, examples=["{pp: 1}"], description="parameters with one value")
    presets: Annotated[dict[str, dict[str, Any]], PlainValidator(check.check_presets), _schema(type="object")] = Field(
        default_factory=dict, examples=["{mine: {use: [kv-cache-fp8], tp: 2}}"]
    )
    constraints: Texts = Field(default_factory=list, examples=['["ubatch <= batch"]'])
    resources: Resources = Field(default=Resources(), examples=["{cpus: 1}"])
    load: Load = Field(examples=["{points: [{concurrency: 1}, {concurrency: 4}]}"])
    objectives: Annotated[list[ObjectiveOrName], Field(min_length=1, max_length=8)] = Field(
        examples=["[minimize_ttft]"]
    )
    slo: list[LimitEntry] = Field(default_factory=list, examples=["[{metric: ttft, stat: p95, max: 800ms}]"])
    scorer: Literal["plain", "penalty"] = Field(default="plain", examples=["plain"])
    steepness: Annotated[float, Field(gt=0, le=1e3)] = Field(default=0.1, description="of the penalty scorer")
    search: Search = Search()
    limits: Limits = Limits()
    group: Annotated[str, AfterValidator(check_group)] = Field(default="default", examples=["default"])
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = Field(default=0, examples=["10"])
    out: str | None = Field(default=None, examples=["results/study"], description="relative to where you start it")


def check_kind(file: SpecFile) -> None:
    """Raise `SpecError` unless `file` is a tune spec."""
    if file.kind != "tune":
        fix = f"use `passloop {file.kind}`, or begin the spec with `tune: NAME`"
        raise file.error([file.complaint((file.kind,), f"this is a {file.kind} spec, not a study", fix)])


def plain_of(file: SpecFile) -> dict[str, Any]:
    """The spec as plain data; numbers in words and variables stay as they are written."""
    data: dict[str, Any] = file.root.plain()
    engine = file.root.child("engine")
    if engine is not None and isinstance(engine.value, dict):
        data["engine"] = engine.plain(as_written=AS_WRITTEN)
    return data

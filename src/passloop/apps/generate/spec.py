"""The generate spec: the model of a YAML file whose first key is `generate`. It says what may be written; `dataset.py`
what it means, and `checks.py` what is wrong with it beside its form.

Strict: unknown keys are errors with a suggestion, nothing is coerced. A column is one flat model, so that each mistake
is told at its own place; which keys belong to which kind is checked in `checks.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from passloop.apps.errors import BadValue
from passloop.apps.spec_file import SpecFile
from passloop.apps.text import check_group, check_run_name, shown
from passloop.apps.units import duration_ms

__all__ = [
    "Column",
    "Distributions",
    "EndpointEntry",
    "GenerateSpec",
    "Kind",
    "Limits",
    "ModelEntry",
    "Price",
    "Rubric",
    "Skip",
    "read_generate",
]

Kind = Literal["sampler", "seed", "llm_text", "llm_structured", "llm_judge", "expression", "python"]
MOST_ROWS = 100_000_000


def _identifier(text: str) -> str:
    """A name that templates can say."""
    if not text.isidentifier() or text.startswith("_") or len(text) > 100:
        raise BadValue(f"{shown(text)} is no name of a column", "use letters, digits and _, beginning with a letter")
    return text


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema, mode="validation")


Name = Annotated[str, AfterValidator(_identifier)]
Duration = Annotated[int, PlainValidator(duration_ms), _schema(type=["string", "number"])]
Count = Annotated[int, Field(ge=1, le=10**9)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Money = Annotated[float, Field(ge=0, le=1e12)]


class Model(BaseModel):
    """The base: unknown keys are errors, nothing is coerced, nothing changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class Price(Model):
    """Money per million tokens, in any one currency."""

    input: Money = Field(examples=["0.5"])
    output: Money = Field(examples=["1.5"])


class EndpointEntry(Model):
    """One OpenAI-compatible endpoint. Limits that are left out are not kept."""

    base_url: str = Field(examples=['"http://127.0.0.1:8080/v1"'])
    api_key: str | None = Field(default=None, examples=["env:MY_KEY"], description="env:NAME or file:PATH")
    provider: str | None = Field(default=None, examples=["acme"])
    headers: dict[str, str] = Field(
        default_factory=dict, examples=['{api-key: "env:MY_KEY"}'], description="env:NAME or file:PATH for secrets"
    )
    requests_per_minute: Count | None = Field(default=None, examples=["500"])
    tokens_per_minute: Count | None = Field(default=None, examples=["100000"])
    max_in_flight: Count | None = Field(default=None, examples=["8"])
    timeout: Duration = Field(default=120_000, examples=["60s"], description="of a whole call")
    dead_after: Duration = Field(default=120_000, examples=["2m"], description="closed for so long is dead")
    discover_limits: bool = Field(default=True, description="keep the limits that x-ratelimit-* headers tell")


class ModelEntry(Model):
    """A model at an endpoint."""

    endpoint: str = Field(examples=["local"])
    model: str = Field(examples=["smollm2-135m"])
    params: dict[str, Any] = Field(default_factory=dict, examples=["{temperature: 0.7, max_tokens: 96}"])
    max_in_flight: Count | None = Field(default=None, examples=["4"])
    stream: bool = False
    dead_after: Duration | None = Field(default=None, examples=["2m"])
    price: Price | None = Field(default=None, examples=["{input: 0.5, output: 1.5}"])


class Choice(Model):
    """One of `values`, by `weights` if there are any."""

    values: Annotated[list[Any], Field(min_length=1)] = Field(examples=["[a, b]"])
    weights: list[Number] | None = Field(default=None, examples=["[2, 1]"])


class Uniform(Model):
    """A number from `low` to below `high`."""

    low: Number = 0.0
    high: Number = 1.0


class Normal(Model):
    """A number around `mean`."""

    mean: Number = 0.0
    sd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0


class Poisson(Model):
    """A count whose mean is `mean`."""

    mean: Annotated[float, Field(ge=0, le=10_000)]


class Bernoulli(Model):
    """True with probability `p`."""

    p: Annotated[float, Field(ge=0, le=1)]


class Integer(Model):
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int


class Date(Model):
    """A day from `first` to `last`, both included, as `2026-01-31`."""

    first: str = Field(examples=['"2026-01-01"'])
    last: str = Field(examples=['"2026-12-31"'])


class Uuid(Model):
    """A version 4 UUID, drawn by the seed."""


class Distributions(Model):
    """A sampler names its distribution as a key; exactly one."""

    choice: Choice | None = Field(default=None, examples=["{values: [a, b]}"])
    uniform: Uniform | None = Field(default=None, examples=["{low: 0, high: 1}"])
    normal: Normal | None = Field(default=None, examples=["{mean: 0, sd: 1}"])
    poisson: Poisson | None = Field(default=None, examples=["{mean: 3}"])
    bernoulli: Bernoulli | None = Field(default=None, examples=["{p: 0.5}"])
    integer: Integer | None = Field(default=None, examples=["{low: 1, high: 6}"])
    date: Date | None = Field(default=None, examples=['{first: "2026-01-01", last: "2026-12-31"}'])
    uuid: Uuid | None = Field(default=None, examples=["{}"])


class Conditional(Model):
    """A distribution chosen by the value of another column (as text); `else` for all others."""

    on: str = Field(examples=["topic"])
    cases: dict[str, Distributions] = Field(examples=["{billing: {choice: {values: [a]}}}"])
    otherwise: Distributions | None = Field(default=None, alias="else")


class Skip(Model):
    """Rows whose cell is not asked for: those where `when` is true get `value`."""

    when: str = Field(examples=["\"{{ topic == 'billing' }}\""])
    value: Any = None


class Rubric(Model):
    """What a judge scores by: each score with its meaning."""

    question: str = Field(default="How good is it?", examples=["Is the ticket polite?"])
    scores: Annotated[dict[str, str], Field(min_length=2)] = Field(examples=['{"1": bad, "5": good}'])


class Column(Distributions):
    """One column, or several that one python call makes together."""

    name: Name = Field(examples=["topic"])
    kind: Kind = Field(examples=["sampler"])
    conditional: Conditional | None = None
    file: str | None = Field(default=None, examples=["personas.csv"])
    order: Literal["sequential", "shuffled", "cycled"] | None = Field(default=None, examples=["cycled"])
    field: str | None = Field(default=None, examples=["persona"], description="the column of the file")
    model: str | None = Field(default=None, examples=["small"])
    prompt: str | None = Field(default=None, examples=['"Write about {{ topic }}."'])
    system: str | None = Field(default=None, examples=['"You are brief."'])
    schema_: Any = Field(default=None, alias="schema", examples=["ticket.schema.json"])
    rubric: Rubric | None = Field(default=None, examples=['{scores: {"1": bad, "5": good}}'])
    refusals: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, examples=["2"], description="answers that may be refused before the cell fails"
    )
    cut_off: Literal["keep", "refuse"] | None = Field(
        default=None, examples=["refuse"], description="what becomes of an answer that was longer than it might be"
    )
    skip: Skip | None = Field(default=None, examples=["{when: \"{{ topic == 'billing' }}\", value: null}"])
    expr: str | None = Field(default=None, examples=['"{{ ticket | length }}"'])
    call: str | None = Field(default=None, examples=["mycols:clean"])
    needs: list[str] | None = Field(default=None, examples=["[ticket]"])
    outputs: list[Name] | None = Field(default=None, examples=["[clean, flags]"])
    batch: bool | None = Field(default=None, description="call once for a whole row group")
    version: int | str | None = Field(
        default=None, examples=["2"], description="another one has all cells made anew, and those after them"
    )


class Limits(Model):
    """What a run may use."""

    resident_mb: Count | None = Field(default=None, examples=["256"])
    max_cost: Money | None = Field(default=None, examples=["5.0"])


class Retries(Model):
    """How often a cell may be tried again after each kind of trouble; refusals by 429 cost nothing."""

    failure: Annotated[int, Field(ge=0, le=1_000)] = 3
    timeout: Annotated[int, Field(ge=0, le=1_000)] = 2
    refusal: Annotated[int, Field(ge=0, le=100)] = 2


class GenerateSpec(Model):
    """A dataset: its endpoints, models and columns."""

    generate: Annotated[str, AfterValidator(check_run_name)] = Field(examples=["support-tickets"])
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = Field(examples=["2000"], description="rows, or candidates")
    out: str | None = Field(default=None, examples=["tickets.parquet"], description="NAME.parquet if left out")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(default=0, examples=["0"])
    row_group: Annotated[int, Field(ge=1, le=10_000)] = Field(default=50, examples=["50"])
    group: Annotated[str, AfterValidator(check_group)] = "default"
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    endpoints: dict[str, EndpointEntry] = Field(default_factory=dict)
    models: dict[str, ModelEntry] = Field(default_factory=dict)
    columns: Annotated[list[Column], Field(min_length=1, max_length=1_000)]
    keep: str | None = Field(default=None, examples=['"{{ grade >= 3 }}"'])
    target: Count | None = Field(default=None, examples=["500"], description="so many kept rows, of `rows` candidates")
    on_dead_endpoint: Literal["wait", "fail", "drop_rows", "finish_rest"] = Field(
        default="finish_rest", examples=["finish_rest"]
    )
    retries: Retries = Retries()
    limits: Limits = Limits()


def read_generate(file: SpecFile) -> GenerateSpec:
    """The generate spec in `file`. Raises `SpecError` with every mistake of form."""
    if file.kind != "generate":
        fix = f"use `passloop {file.kind}`, or begin the spec with `generate: NAME`"
        raise file.error([file.complaint((file.kind,), f"this is a {file.kind} spec, not a dataset", fix)])
    return file.read(GenerateSpec)

"""What a trial is given and what it answers: the records that search, trial process, load client and report share.

They are JSON on the way (order in, document out) and hold no rule. Latencies are in milliseconds, rates per second,
spans in milliseconds, memory in MiB. A document is stored as the task's results, so that everything later than the
measurement (scores, feasibility, reports) is computed from it and needs no GPU.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = [
    "Document",
    "EngineOrder",
    "Failure",
    "Limits",
    "LoadOrder",
    "Objective",
    "Order",
    "Params",
    "Point",
    "PointResult",
    "Slo",
    "Value",
]

Value = str | int | float | bool
Params = dict[str, Value]
VERSION = 1
"""Of orders and documents; a reader refuses what is newer."""


class Record(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A record that never changes; unknown fields are an error."""


class Point(Record, frozen=True, kw_only=True):
    """One load: `concurrency` requests in flight (closed loop), or `rate` requests a second (open loop).

    `requests` are measured, after `warmup` that are not; the whole is done `repeats` times. `seconds` ends a repeat
    early.
    """

    concurrency: int | None = None
    rate: float | None = None
    arrivals: Literal["poisson", "constant"] = "poisson"
    requests: int = 50
    warmup: int = 1
    repeats: int = 1
    seconds: float | None = None

    @property
    def name(self) -> str:
        """How it is called in documents, objectives and reports: `concurrency=4`, `rate=2`."""
        return f"concurrency={self.concurrency}" if self.concurrency is not None else f"rate={self.rate:g}"


class LoadOrder(Record, frozen=True, kw_only=True):
    """How a server is loaded. `client` names who does it; `prompts` is `builtin:NAME` or the path of a file, then with
    the `prompts_digest` that it had when the study was declared.

    `model` is the name to ask for; None takes the first of the server's `/v1/models`. `timeout` is of one request, in
    ms. `options` are the client's own.
    """

    client: str = "builtin"
    prompts: str = "builtin:short"
    model: str | None = None
    max_tokens: int = 128
    points: tuple[Point, ...] = ()
    seed: int = 0
    timeout: int = 120_000
    options: dict[str, Any] = {}
    prompts_digest: str | None = None


class Slo(Record, frozen=True, kw_only=True):
    """A limit on a metric: `most` for what must be small, `least` for what must be large (in the metric's own unit).

    `at` is the name of a point, None is every point. `weight`, `hard_fail` and `fail_ratio` are of the penalty scorer.
    """

    metric: str
    stat: str = "mean"
    most: float | None = None
    least: float | None = None
    at: str | None = None
    weight: float = 1.0
    hard_fail: bool = False
    fail_ratio: float = 0.5


class Objective(Record, frozen=True, kw_only=True):
    """What is to be made best: a metric's statistic at one point (its name; None only where there is one point)."""

    metric: str
    stat: str = "mean"
    at: str | None = None
    direction: Literal["maximize", "minimize"] = "maximize"


class EngineOrder(Record, frozen=True, kw_only=True):
    """A server to start. `argv` still has `{port}` and `{host}`; `env` goes over the task's own environment.

    `ports` is how many in a row it may use from `{port}` on. `download` is run before the clock starts. `reset` is a
    path that is POSTed between points. `secrets` are variables that the engine gives to the trial's process, for the
    server: their values stand in no order. Spans in ms.
    """

    kind: Literal["command", "docker"] = "command"
    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str | None = None
    download: tuple[str, ...] = ()
    ready_path: str = "/health"
    reset: str | None = None
    ports: int = 16
    image: str | None = None
    options: dict[str, Any] = {}
    secrets: tuple[str, ...] = ()


class Limits(Record, frozen=True, kw_only=True):
    """The most that each phase may take, in ms; `health`: how long a server may be sick or silent while measured."""

    download: int = 3_600_000
    start: int = 600_000
    warmup: int = 120_000
    point: int = 900_000
    stop: int = 30_000
    verify: int = 30_000
    health: int = 30_000


class Order(Record, frozen=True, kw_only=True):
    """All that a trial process is told. `best` is the best feasible value of the first objective when it was asked.

    With `stop_early` a candidate that is not worth its remaining points is pruned; trial 0, the baseline, never is.
    With the scorer `penalty` a missed SLO is no reason for that, but a hard one.
    """

    version: int = VERSION
    study: str
    trial: int
    params: Params
    hash: str
    engine: EngineOrder
    load: LoadOrder
    slo: tuple[Slo, ...] = ()
    objectives: tuple[Objective, ...] = ()
    limits: Limits = Limits()
    best: float | None = None
    stop_early: bool = True
    scorer: Literal["objective", "penalty"] = "objective"
    search_load: dict[str, Any] | None = None
    gpus: int = 0
    seed: int = 0


class PointResult(Record, frozen=True, kw_only=True):
    """What was measured at one point.

    `metrics` is metric -> statistic -> value: latencies (`ttft`, `tpot`, `e2e`; ms) have mean, p50, p90, p95, p99;
    rates (`output_tokens_per_second`, `total_tokens_per_second`, `requests_per_second`, `goodput`, and each `_per_gpu`)
    have mean; `error_rate` and `attainment` (shares of 1) have mean, and attainment low and high (Wilson).
    `half_width` has the same shape for what repeats give an interval (Student, 95 %). `stopped` says why the point was
    given up before its end (`error_rate`, `saturated`): its figures are then of a part, for people, and no scores.
    """

    point: Point
    metrics: dict[str, dict[str, float]]
    half_width: dict[str, dict[str, float]] = {}
    requests: int = 0
    errors: int = 0
    error_kinds: dict[str, int] = {}
    saturated: bool = False
    stopped: str | None = None
    duration: float = 0.0


class Failure(Record, frozen=True, kw_only=True):
    """Why a trial failed: its class, one sentence, and the log lines that show it.

    Classes: out_of_memory, bad_flag, port, download, auth, device, time_limit, slo, crash.
    """

    kind: str
    message: str
    phase: str
    lines: tuple[str, ...] = ()


class Document(Record, frozen=True, kw_only=True):
    """A trial's results, `metrics.json`. `state`: complete, pruned (with the reason), failed.

    Whether it is feasible and how it scores is computed from `points`, never stored as truth. `notes` are sentences for
    people on what may spoil the figures or was left behind.
    """

    version: int = VERSION
    trial: int
    params: Params
    hash: str
    state: Literal["complete", "pruned", "failed"]
    argv: tuple[str, ...] = ()
    points: tuple[PointResult, ...] = ()
    pruned: str | None = None
    failure: Failure | None = None
    spans: dict[str, float] = {}
    provenance: dict[str, Any] = {}
    gpus: tuple[str, ...] = ()
    max_load: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

"""Runs one cell: what is missing of it, on what is loaded, into its folder. Whatever goes wrong ends as a reason.

It holds the folder's lock from the first look to the last write, so that no cell runs twice at once. It never waits for
a device, never retries, never ends the process.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passloop.clock import Clock

from .adapters.base import AdapterKind, CellNames, CellReport, CellWork, Granted, LoadNeeds, ResolvedMethod
from .attempt_log import AttemptLog, CellRecorder, earlier_errors, errors_of
from .benchmarks.base import BenchmarkKind, Context, DataAsk, Scores, Tokenizer, scorer_of
from .breaker import Breaker
from .cell_folder import METRICS, CellFolder, state_of
from .cell_order import CellOrder
from .durable import read_json
from .errors import CellError, ErrorClass, Phase, Reason, classed
from .metrics import storable
from .own_code import CODE
from .plugins import adapter_kind, benchmark_kind
from .policy import POLICIES
from .samples import SampleLog
from .usage import peak_rss_mib
from .warm import Warm

__all__ = ["SKIPPED", "CellEnd", "Place", "run_cell"]

SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a cell runs: its task and attempt, what was granted, and the attempt's `out` folder."""

    task: int = 0
    attempt_id: str = ""
    out: Path = Path()
    granted: Granted = field(default_factory=Granted)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEnd:
    """How it ended: with `metrics`, or with a reason that is `final` or not, or `skipped` because of a sentence.

    `dirty` tells that what was loaded is gone or not to be trusted; `bad_device` is a UUID to be taken out. `loaded` is
    how long it took to load what it needed, in ms; None: it was there.
    """

    metrics: Mapping[str, Any] | None = None
    reason: Reason | None = None
    final: bool = False
    skipped: str = ""
    dirty: bool = False
    bad_device: str | None = None
    loaded: int | None = None


def run_cell(order: CellOrder, place: Place, warm: Warm, clock: Clock) -> CellEnd:
    """Run the cell of `order`, unless it is complete or its model was taken out."""
    with CellFolder.locked(Path(order.folder), order.cell) as folder:
        if state_of(folder.path, order.cell).complete:
            return CellEnd(metrics=read_json(folder.path / METRICS))
        folder.prepare(_document(order))
        number, attempt = folder.begin()
        facts = {"cell": order.cell[:10], "attempt": number, "task": place.task, "gpus": list(place.granted.gpus)}
        with closing(AttemptLog(attempt, clock, facts)) as log, closing(folder.answers()) as answers:
            breaker = _breaker(order, place)
            why = breaker.open_for(errors_of(folder.path))
            if why:
                return _skip(log, breaker, why, facts)
            running = _Running(order, place, warm, clock, folder, answers, log)
            return running.to_the_end(number, breaker, facts)


def _breaker(order: CellOrder, place: Place) -> Breaker:
    return Breaker(
        order.invocation,
        cell=order.cell,
        model=order.model.name,
        sparse_attention=order.sparse_attention.name,
        task=place.task,
        devices=place.granted.gpus,
    )


def _skip(log: AttemptLog, breaker: Breaker, why: str, facts: Mapping[str, Any]) -> CellEnd:
    reason = Reason(ErrorClass.CANCELLED, Phase.CONFIG, why)
    log.fail(reason, final=True, trace="", facts={**facts, "class": SKIPPED, **breaker.mark})
    return CellEnd(skipped=why, final=True)


def _document(order: CellOrder) -> dict[str, Any]:
    """What `cell.json` says."""
    return {
        "version": 1,
        "hash": order.cell,
        "identity": order.identity,
        "names": {
            "model": order.model.name,
            "sparse_attention": order.sparse_attention.name,
            "benchmark": order.benchmark.name,
            "subset": order.benchmark.subset,
        },
        "seed": order.seed,
        "samples": order.samples,
    }


class _Running:
    """One attempt at one cell."""

    def __init__(
        self,
        order: CellOrder,
        place: Place,
        warm: Warm,
        clock: Clock,
        folder: CellFolder,
        answers: SampleLog,
        log: AttemptLog,
    ) -> None:
        self._order = order
        self._place = place
        self._warm = warm
        self._clock = clock
        self._folder = folder
        self._answers = answers
        self._log = log
        self._phase = Phase.CONFIG
        self._asked: set[str] = set()
        self._spans: dict[str, int] = {}
        self._loaded: int | None = None
        self._code: str | None = None
        self._kept = len(answers.answers)

    def to_the_end(self, number: int, breaker: Breaker, facts: Mapping[str, Any]) -> CellEnd:
        """Run, and turn whatever is raised into a reason."""
        self._log.say("start", kept_answers=self._kept)
        try:
            metrics = self._run(number)
            breaker.succeeded()
        except (Exception, SystemExit) as error:
            return self._failed(error, breaker, facts)
        self._log.say("done", **self._spans)
        return CellEnd(metrics=metrics, dirty=not self._settle(failed=False), loaded=self._loaded)

    def _failed(self, error: BaseException, breaker: Breaker, facts: Mapping[str, Any]) -> CellEnd:
        reason = classed(error, self._phase)
        trace = "".join(traceback.format_exception(error))
        final = self._is_final(reason.error_class)
        self._log.fail(reason, final=final, trace=trace, facts=facts)
        bad_device = reason.device
        if final:
            policy = POLICIES[reason.error_class]
            of_device = reason.exit_code is None and self._phase in (Phase.LOAD, Phase.RUN) and policy.of_model
            bad_device = breaker.failed(reason.error_class, of_model=policy.of_model, of_device=of_device)
        return CellEnd(
            reason=reason,
            final=final,
            dirty=not self._settle(failed=True),
            bad_device=bad_device or reason.device,
            loaded=self._loaded,
        )

    def _is_final(self, error_class: ErrorClass) -> bool:
        """Whether the tries again for this class are used up, this attempt's error not counted."""
        earlier = earlier_errors(self._folder.path, task=self._place.task)
        count = len([each for each in earlier if each.get("class") == error_class])
        most: int = self._order.retries.get(error_class, POLICIES[error_class].retries)
        return count >= most

    def _settle(self, *, failed: bool) -> bool:
        """Bring what is loaded back to what it was; whether it can be used again."""
        try:
            return self._warm.settle(doubted=failed or self._order.sparse_attention.mutates_model)
        except Exception as error:
            self._log.say("unloaded", message=f"{type(error).__name__}: {error}")
            return False

    def _run(self, number: int) -> Mapping[str, Any]:
        order = self._order
        self._code = self._warm.code.of(order.options, Path.cwd())
        kind = adapter_kind(order.adapter)
        benchmark = benchmark_kind(order.benchmark.name) if order.benchmark.looked_up else None
        self._load(kind)
        work = self._work(number, benchmark)
        with self._timed("run", Phase.RUN):
            report = self._warm.adapter.run_cell(work, CellRecorder(self._answers, self._log))
        if report.samples is not None:
            self._answers.replace(report.samples)
            self._kept = 0
        expected = self._expected(work, benchmark)
        with self._timed("score", Phase.SCORE):
            metrics = storable(self._metrics(report, benchmark))
        self._phase = Phase.STORE
        self._folder.finish(self._answers, metrics, self._facts(report, benchmark, number, expected))
        return metrics

    def _load(self, kind: AdapterKind) -> None:
        order = self._order
        needs = LoadNeeds(
            key=order.model.key,
            model=order.model.name,
            source=order.model.source,
            weights=order.model.weights,
            load=order.model.load,
        )
        with self._timed("load", Phase.LOAD):
            fresh = self._warm.serve(kind, order.options, needs, self._place.granted)
        if fresh:
            self._loaded = self._spans["load"]
        self._log.say("loaded" if fresh else "warm", millis=self._spans["load"])

    def _timed(self, name: str, phase: Phase) -> _Timed:
        self._phase = phase
        return _Timed(self._spans, name, self._clock)

    def _work(self, number: int, benchmark: BenchmarkKind | None) -> CellWork:
        order, method = self._order, self._order.sparse_attention
        names = CellNames(
            model=order.model.name,
            sparse_attention=method.name,
            benchmark=order.benchmark.name,
            subset=order.benchmark.subset,
        )
        return CellWork(
            names=names,
            adapter=order.adapter,
            method=ResolvedMethod(
                method=method.method,
                parameters=method.parameters,
                load=method.load,
                mutates_model=method.mutates_model,
                kept=method.kept,
                version=method.version,
            ),
            options=order.benchmark.options,
            generation=dict(order.generation),
            samples=order.samples,
            seed=order.seed,
            granted=self._place.granted,
            out=self._place.out,
            attempt=number,
            answered=frozenset(self._answers.answers),
            blank=tuple(order.blank),
            contexts=lambda tokenizer: self._contexts(benchmark, tokenizer),
        )

    def _contexts(self, benchmark: BenchmarkKind | None, tokenizer: Tokenizer | None) -> Iterator[Context]:
        """The contexts with what is left to ask; what goes wrong in making them is of the data."""
        if benchmark is None:
            return
        order = self._order
        ask = DataAsk(
            subset=order.benchmark.subset, options=order.benchmark.options, samples=order.samples, seed=order.seed
        )
        phase, self._phase = self._phase, Phase.DATA
        for context in benchmark.contexts(ask, tokenizer):
            self._asked.update(question.id for question in context.questions)
            left = tuple(each for each in context.questions if each.id not in self._answers.answers)
            if left:
                self._phase = phase
                yield Context(id=context.id, text=context.text, questions=left)
                self._phase = Phase.DATA
        self._phase = phase

    def _expected(self, work: CellWork, benchmark: BenchmarkKind | None) -> int | None:
        """How many samples there should be; None where only the adapter knows. Raises if one has no answer."""
        if benchmark is None or not self._asked:
            return None
        lacking = self._asked - self._answers.answers.keys()
        if lacking:
            raise CellError(f"{len(lacking)} of {len(self._asked)} questions have no answer")
        return len(self._asked)

    def _metrics(self, report: CellReport, benchmark: BenchmarkKind | None) -> Mapping[str, Any]:
        if report.metrics is not None:
            return report.metrics
        scores = self._scores(benchmark)
        if scores is None:
            raise CellError("neither the adapter nor the benchmark gave metrics")
        for answer, score in zip(list(self._answers.answers.values()), scores.samples, strict=False):
            self._answers.rescore(answer.sample, score)
        return scores.metrics

    def _scores(self, benchmark: BenchmarkKind | None) -> Scores | None:
        if benchmark is None:
            return None
        return benchmark.score(self._order.benchmark.subset, list(self._answers.answers.values()))

    def _facts(
        self, report: CellReport, benchmark: BenchmarkKind | None, number: int, expected: int | None
    ) -> dict[str, Any]:
        """What DONE.json says beside digests."""
        own = {"peak_rss_mib": peak_rss_mib(), **report.usage}
        if self._order.sparse_attention.kept is not None:
            own.setdefault("kept", self._order.sparse_attention.kept)
        scorer = None
        if benchmark is not None and report.metrics is None:
            scorer = scorer_of(benchmark)
        return {
            "samples": {"expected": expected, "answered": len(self._answers.answers), "kept": self._kept},
            "scorer": scorer,
            "metric": self._order.benchmark.metric,
            "millis": self._spans,
            "usage": own,
            "attempt": number,
            **({} if self._code is None else {CODE: self._code}),
            "recorded": {
                "gpus": list(self._place.granted.gpus),
                "threads": self._place.granted.threads,
                "task": self._place.task,
            },
        }


class _Timed:
    """Notes how long a phase took, in ms."""

    def __init__(self, spans: dict[str, int], name: str, clock: Clock) -> None:
        self._spans = spans
        self._name = name
        self._clock = clock
        self._start = 0

    def __enter__(self) -> None:
        self._start = self._clock.now()

    def __exit__(self, *_: object) -> None:
        self._spans[self._name] = self._clock.now() - self._start

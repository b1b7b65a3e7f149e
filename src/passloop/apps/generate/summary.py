"""What is told of a dataset at its end: counts, drops with their reasons, tokens and cost by column, and for what lacks
an answer the endpoint, model or column that held it. Pure but for reading the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from .answers import answer_of
from .costs import cost_text, spent_of
from .dataset import Dataset
from .declaring import run_of_spec
from .gathering import UNANSWERED
from .settling import Settled, Settling, cost_told

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["Failure", "Summary", "summary_of"]

MOST_REASONS = 3
MOST_LOOKED_AT = 1_000
"""Answers of a column that is told to have taken no token."""
NEVER_ASKED = "not asked: the run ended before, or a seed file was edited since"
"""A cell is known by what its row is given, so that an edited seed file makes others of all that it gave."""
NOT_YET = "not asked yet"


class Failure(NamedTuple):
    """One column whose cells lack a value, and what held it."""

    column: str
    model: str | None
    endpoint: str | None
    cells: int
    task: int | None
    message: str

    def line(self) -> str:
        """For people, on one line."""
        held = f"model {self.model} at {self.endpoint}" if self.model else "no model"
        look = f"  (passloop show {self.task})" if self.task is not None else ""
        return f"column {self.column} ({held}): {self.cells:,} cells without a value: {self.message}{look}"


class Summary(NamedTuple):
    """How a run of a dataset ended. `unknown` counts calls of which nobody knows whether they were paid for; of the
    columns in `untold` answers came, and no endpoint said how many tokens they took. If it is not `written`, the file
    is as it was: the run was cancelled before it had as many rows; `apart` is the run whose rows can be had beside it,
    where the file is of another spec. `undecided` rows are those for which `keep` fails,
    by what is wrong. `cut_off` counts answers of kept rows by column that were longer than they might be. Of a run
    that is `under_way`, by its id, all this is as of now, and its file is still to be written.
    """

    counts: Mapping[str, int]
    dropped: Mapping[str, int]
    usage: Mapping[str, Mapping[str, float]]
    failures: tuple[Failure, ...]
    unknown: int
    out: str
    incomplete_out: str | None
    whole: bool
    untold: tuple[str, ...] = ()
    written: bool = True
    apart: int | None = None
    undecided: Mapping[str, int] = MappingProxyType({})
    cut_off: Mapping[str, int] = MappingProxyType({})
    under_way: int | None = None

    def usage_text(self, name: str) -> str:
        """What the answers of a column took, for people."""
        each = self.usage[name]
        if name in self.untold:
            return "its endpoint tells no tokens, so what it costs is not known"
        cost = f", cost {cost_text(each['cost'])}" if "cost" in each else ""
        return f"{each['input']:,} tokens in, {each['output']:,} out{cost}"

    def cut_off_lines(self) -> list[str]:
        """Which columns hold answers that were cut off, for people."""
        most = "they were longer than `max_tokens` or the model allows"
        return [f"column {name}: {count:,} answers are cut off: {most}" for name, count in self.cut_off.items()]

    @property
    def barren(self) -> bool:
        """Whether rows were dropped for want of an answer and none is left."""
        return not self.counts["kept"] and any(reason.startswith(UNANSWERED) for reason in self.dropped)

    @property
    def exit_code(self) -> int:
        """0 if all rows are there or dropped as was asked, 1 for a partial dataset, and for one that has no row because
        no model answered.
        """
        return 0 if self.whole else 1

    def document(self, run: Mapping[str, Any] | None) -> dict[str, Any]:
        """What `generate --json` prints."""
        return {
            "schema_version": 1,
            "run": run,
            "counts": dict(self.counts),
            "dropped": dict(self.dropped),
            "usage": {name: dict(each) for name, each in self.usage.items()},
            "unknown_calls": self.unknown,
            "untold_usage": list(self.untold),
            "cut_off": dict(self.cut_off),
            "out": self.out,
            "written": self.written,
            "undecided": dict(self.undecided),
            "incomplete_out": self.incomplete_out,
            "failures": [failure._asdict() for failure in self.failures],
        }

    def lines(self) -> list[str]:
        """For people."""
        counts = self.counts
        head = self._head()
        if counts["dropped"]:
            reasons = ", ".join(f"{count:,} by {reason}" for reason, count in self.dropped.items())
            head += f"; {counts['dropped']:,} dropped ({reasons})"
        lines = [head, *(f"  {name}: {self.usage_text(name)}" for name in self.usage)]
        lines += self.cut_off_lines()
        if self.unknown:
            lines.append(f"{self.unknown:,} calls were under way when an engine ended; they may have been paid for")
        lines += self._ending()
        for reason, count in Counter(self.undecided).most_common(MOST_REASONS):
            lines.append(f"{count:,} rows that can be neither kept nor dropped: {reason}")
        lines += [failure.line() for failure in self.failures]
        if self.failures and self.under_way is None:
            lines.append("run the same spec again to ask only for what is missing")
        return lines

    def _head(self) -> str:
        kept = f"{self.counts['kept']:,}"
        if self.under_way is not None:
            return f"{kept} of {self.counts['rows']:,} rows so far"
        return f"{kept} rows " + (f"-> {self.out}" if self.written else "are there")

    def _ending(self) -> list[str]:
        """Why the file is not all that was asked for."""
        lines = []
        if self.under_way is not None:
            lines.append(f"run {self.under_way} is not over: passloop wait @{self.under_way}")
        elif not self.written:
            lines.append(f"cancelled before there were as many rows as in {self.out}: the file is as it was")
            if self.apart is not None and self.counts["kept"]:
                what = "it is of another spec; the rows of this one are had by"
                lines.append(f"{what}: passloop export {self.apart} -o run-{self.apart}.parquet")
        elif self.incomplete_out is not None:
            lines.append(f"partial: {self.counts['incomplete']:,} rows lack something -> {self.incomplete_out}")
        elif self.barren:
            lines.append("partial: nothing was kept, since no row has all its answers")
        elif not self.whole:
            lines.append("partial: the candidates are used up before the target: say a larger `rows:`")
        return lines


def summary_of(
    reader: Reader, dataset: Dataset, settled: Settled, *, unknown: int, under_way: int | None = None
) -> Summary:
    """The summary of what was settled, or of what a run that is `under_way` has come to."""
    never = NEVER_ASKED if under_way is None else NOT_YET
    tally = settled.tally
    dropped = dict(tally.dropped)
    usage = _usage(reader, dataset)
    counts = {
        "rows": settled.rows,
        "kept": tally.kept,
        "dropped": sum(dropped.values()),
        "incomplete": tally.incomplete,
    }
    return Summary(
        counts=counts,
        dropped=dropped,
        usage=usage,
        failures=tuple(_failures(reader, dataset, settled, never)) if _is_held(dataset, settled) else (),
        unknown=unknown,
        out=str(settled.out),
        incomplete_out=_beside(settled),
        whole=settled.whole,
        cut_off=dict(tally.cut_off),
        untold=tuple(
            name for name, each in usage.items() if not each["input"] and _was_answered(reader, dataset, name)
        ),
        written=not settled.left,
        apart=_apart(reader, dataset) if settled.left else None,
        undecided=dict(tally.undecided),
        under_way=under_way,
    )


def _beside(settled: Settled) -> str | None:
    """Where rows are that lack something."""
    return str(settled.incomplete_out) if settled.tally.incomplete and not (settled.whole or settled.left) else None


def _apart(reader: Reader, dataset: Dataset) -> int | None:
    """The run of these rows, where the file is of another spec."""
    run = None if Settling(dataset).is_of_this_spec else run_of_spec(reader, dataset)
    return None if run is None else run.row.id


def _was_answered(reader: Reader, dataset: Dataset, column: str) -> bool:
    """Whether an answer came for a cell of the column: a cell that was skipped needs none."""
    from passloop.store.filters import TaskFilter

    keys = (f"generate:{dataset.root}:*:{column}:*",)
    tasks = reader.tasks(TaskFilter(keys=keys, states=("succeeded",)), limit=MOST_LOOKED_AT)
    answers = (answer_of(task.results) for task in tasks)
    return any(answer is not None and not answer.skipped for answer in answers)


def _is_held(dataset: Dataset, settled: Settled) -> bool:
    """Whether cells without a value are to be told of: rows lack them, or were dropped for them."""
    drops = dataset.spec.on_dead_endpoint == "drop_rows"
    return not settled.whole or (drops and bool(settled.tally.missing))


def _usage(reader: Reader, dataset: Dataset) -> dict[str, dict[str, float]]:
    """What was paid for, by column that asks a model: the same sums as the cost limit counts."""
    spent = spent_of(reader, dataset)
    cost = cost_told(dataset, spent)
    found: dict[str, dict[str, float]] = {}
    for column in dataset.tasks:
        if column.model is None:
            continue
        read, written = spent[column.name]
        found[column.name] = {"input": read, "output": written}
        if column.name in cost:
            found[column.name]["cost"] = cost[column.name]
    return found


def _failures(reader: Reader, dataset: Dataset, settled: Settled, never: str) -> list[Failure]:
    """Columns whose own cells failed first, then those that waited for them. `never` is what is said of cells that were
    not asked.
    """
    found = []
    for name, count in settled.tally.missing.items():
        column = dataset.columns[name]
        model = dataset.models.get(column.model or "")
        task = next(iter(settled.tally.samples.get(name, ())), None)
        message = settled.tally.wrong.get(name) or _message(reader, task, never)
        endpoint = None if model is None else model.endpoint.base_url
        found.append(Failure(name, None if model is None else model.name, endpoint, count, task, message))
    return sorted(found, key=lambda failure: failure.message.startswith((_WAITED, _CANCELLED)))


_WAITED = "it waits for another column"
_CANCELLED = "cancelled"


def _message(reader: Reader, task: int | None, never: str) -> str:
    view = None if task is None else reader.task(task)
    if view is None:
        return never
    if view.row.state == "aborted":
        return _WAITED
    if view.row.state == "cancelled":
        return f"{_CANCELLED}: {view.row.message}"
    attempt = view.latest
    if attempt is not None and attempt.outcome is not None and attempt.outcome.message:
        return attempt.outcome.message
    return view.row.message or view.row.state

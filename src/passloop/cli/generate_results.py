"""Datasets for the verbs that look at them: which dataset a run means, its report, its other forms, one row of it."""

from __future__ import annotations

import json
import os
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.generate.call_times import call_times
from passloop.apps.generate.dataset import Dataset, dataset_of_text
from passloop.apps.generate.declaring import makes_files, newest_file_task, run_made_of, run_under_way
from passloop.apps.generate.export import export_dataset
from passloop.apps.generate.gathering import UNANSWERED, gather_unit
from passloop.apps.generate.report_html import report_html
from passloop.apps.generate.row_view import row_view
from passloop.apps.generate.settling import Settling
from passloop.apps.generate.summary import summary_of
from passloop.cli import streams
from passloop.cli.exits import CliError, Exit
from passloop.cli.whole_files import write_whole_text
from passloop.cli.wording import FINAL
from passloop.clock import SystemClock
from passloop.drivers.calls.driver import UNKNOWN
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.store.sources import SourceView

__all__ = ["dataset_of_run", "export_run", "report_run", "show_row"]

FIRST_ROWS = 20


def dataset_of_run(home: str, word: str) -> Dataset:
    """The dataset that a run (an id, a name, `last`) makes. Raises `CliError` (exit 3) if it makes none."""
    with Reader.open(Home(Path(home))) as reader:
        return dataset_of_text(_source_of(reader, word).spec)


def _source_of(reader: Reader, word: str) -> SourceView:
    found = next(iter(reader.runs(limit=1)), None) if word == "last" else reader.run(word.removeprefix("@"))
    source = None if found is None else reader.source(found.row.id)
    if source is None or source.row.kind != "generate":
        what = f"{word} is no run of a dataset"
        raise CliError(what, hint="passloop generate SPEC.yaml", exit_code=Exit.NOT_FOUND)
    return source


def report_run(home: str, dataset: Dataset, out: str | None, *, files: bool) -> None:
    """Print what came of a dataset, and write the report."""
    with Reader.open(Home(Path(home))) as reader:
        settled = Settling(dataset).settle(reader, writes=False)
        unknown = reader.count_unknown_calls(f"generate:{dataset.root}:*", UNKNOWN)
        live = run_under_way(reader, dataset)
        going = None if live is None else int(live.row.id)
        summary = summary_of(reader, dataset, settled, unknown=unknown, under_way=going)
        gathered = (row for unit in range(dataset.units) for row in gather_unit(reader, dataset, unit))
        times = call_times(reader, dataset)
        rows = [row.values for row in islice((each for each in gathered if each.status == "kept"), FIRST_ROWS)]
    if files:
        path = Path(out or f"passloop-report-{dataset.spec.generate}.html")
        try:
            write_whole_text(path, report_html(dataset, summary, times, rows, made_at=SystemClock().wall()))
        except OSError as refused:
            raise CliError(f"{path} cannot be written: {refused.strerror}", hint="passloop report --out FILE") from None
        streams.say(f"written: {path}")
    for line in summary.lines():
        streams.emit(streams.clean(line))
    for model in times.models:
        streams.emit(streams.clean(model.line()))


def export_run(home: str, word: str, out: str | None, form: str | None) -> None:
    """Write the dataset of a run in another form, named or told by the file's ending: from its file, and where that is
    gone or of another spec and the run is named by its id, from what is committed. Raises `CliError` where its file is
    still to be written, and where `out` is that file.
    """
    if out is None:
        raise CliError("a dataset is exported to a file or a folder", hint="passloop export RUN -o tickets.jsonl")
    chosen = form or Path(out).suffix.removeprefix(".").lower() or "hf"
    if chosen not in ("parquet", "jsonl", "csv", "hf"):
        raise CliError(
            f"the ending .{streams.clean(chosen)} names no format", hint="passloop export RUN --format jsonl"
        )
    with Reader.open(Home(Path(home))) as reader:
        source = _source_of(reader, word)
        dataset = dataset_of_text(source.spec)
        try:
            is_made = Settling(dataset).is_of_this_spec
            if _is_own_file(dataset, out) and not (is_made and chosen == "parquet"):
                what = f"{streams.clean(out)} is the dataset's own file, which `passloop generate` writes"
                raise CliError(what, hint="passloop export RUN -o another FILE")
            if is_made:
                export_dataset(dataset.out, Path(out), chosen)
                said = streams.clean(out)
            else:
                _check_the_store_is_asked(reader, source, dataset, word)
                said = f"{streams.clean(out)}: {_export_committed(reader, source, Path(out), chosen)}"
        except BadValue as bad:
            raise CliError(bad.what, hint=bad.fix) from None
        except OSError as refused:
            what = f"{streams.clean(out)} cannot be written: {refused.strerror}"
            raise CliError(what, hint="passloop export RUN -o FILE") from None
    streams.say(f"written: {said}")


def _is_own_file(dataset: Dataset, out: str) -> bool:
    return os.path.realpath(out) == os.path.realpath(dataset.out)


def _export_committed(reader: Reader, source: SourceView, target: Path, form: str) -> str:
    """Write the whole rows that the store has of a run; what was written."""
    run = source.row.run
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=".passloop-") as folder:  # as large as the target, so beside it
        made = Path(folder) / "made.parquet"
        tally = Settling(dataset_of_text(source.spec)).write_rows(reader, made)
        if not tally.kept:
            what = f"the store has no whole row of run {run}"
            raise CliError(what, hint="passloop generate SPEC", exit_code=Exit.NOT_FOUND)
        export_dataset(made, target, form)
    unanswered = sum(count for reason, count in tally.dropped.items() if reason.startswith(UNANSWERED))
    lacking = tally.incomplete + unanswered
    told = f", {lacking:,} lack something" if lacking else ""
    return f"{tally.kept:,} rows of run {run}, from the store{told}"


def _check_the_store_is_asked(reader: Reader, source: SourceView, dataset: Dataset, word: str) -> None:
    """Raise `CliError` if the file of a run is still to be written, or if the run was not named by its id. A name, and
    `last`, mean the newest run, be it a preview or one that was cancelled: its few rows would replace, unasked, what
    the same command wrote of a whole one.
    """
    run, out = source.row.run, dataset.out
    maker = run_made_of(reader, dataset.root, Settling(dataset).spec_of_file)
    whose = "another spec" if maker is None else f"run {maker.row.id}"
    other = f"{out} has the rows of {whose}, not those of run {run}"
    if _is_to_be_written(reader, source):
        raise CliError(other if out.exists() else f"{out} is not there yet", hint=f"passloop wait @{run}")
    if word.removeprefix("@") != str(run):
        hint = f"what the store has of run {run}: passloop export {run} -o FILE"
        hint = hint if maker is None else f"passloop export {maker.row.id} -o FILE, or {hint}"
        raise CliError(other if out.exists() else f"{out} is not there", hint=hint)


def _is_to_be_written(reader: Reader, source: SourceView) -> bool:
    if source.row.state == "cancelled" or not makes_files(source.spec):
        return False
    task = newest_file_task(reader, source)
    if task is not None:
        return task.row.state not in FINAL
    view = reader.run(str(source.row.run))  # the task may be gone: a broad `rm` removes one that failed
    is_live = view is not None and any(count for state, count in view.counts.items() if state not in FINAL)
    return source.row.ended_at is None or is_live


def show_row(home: str, dataset: Dataset, row: int, *, as_json: bool) -> None:
    """Print one row with its prompts, answers and attempts."""
    if row >= dataset.spec.rows:
        what = f"there is no row {row}: they are 0 to {dataset.spec.rows - 1}"
        raise CliError(what, hint="passloop generate SPEC --row 0", exit_code=Exit.NOT_FOUND)
    if not Home(Path(home)).database.exists():
        raise CliError(
            "nothing was generated in this home yet", hint="passloop generate SPEC", exit_code=Exit.NOT_FOUND
        )
    with Reader.open(Home(Path(home))) as reader:
        view = row_view(reader, dataset, row)
    if as_json:
        streams.emit_json({"schema_version": 1, "row": view})
        return
    streams.emit(f"row {row}  {view['status']}  {streams.clean(view['reason'])}".rstrip())
    for column in view["columns"]:
        _emit_column(column)


def _emit_column(column: dict[str, Any]) -> None:
    streams.emit(f"{column['name']} ({column['kind']})")
    prompt = column.get("prompt")
    for message in prompt if isinstance(prompt, list) else []:
        streams.emit(f"  {message['role']}: {_line(message['content'])}")
    streams.emit(f"  = {_line(column['value'])}")
    for number, attempt in enumerate(column.get("attempts", []), 1):
        took = f" {attempt['ms']} ms" if attempt["ms"] is not None else ""
        streams.emit(f"  attempt {number}: {attempt['outcome']}{took}  {streams.clean(attempt['message'])}".rstrip())


def _line(value: Any) -> str:
    return streams.clean(json.dumps(value, ensure_ascii=False))

"""Studies for the verbs that look at them: which study a run means, its report, its other forms, trials judged anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.errors import BadValue
from passloop.apps.spec_file import load_spec
from passloop.apps.tune.candidates import Box
from passloop.apps.tune.report.document import study_document
from passloop.apps.tune.report.files import FORMS, write_records
from passloop.apps.tune.report.optuna_file import write_optuna
from passloop.apps.tune.report.page import report_html
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.stored import standing_of
from passloop.apps.tune.search.samplers import MissingPart
from passloop.apps.tune.study import Study, study_of_file, study_of_text
from passloop.cli import streams
from passloop.cli.exits import CliError, Exit
from passloop.cli.tuning import table_lines
from passloop.cli.whole_files import whole_file
from passloop.clock import SystemClock
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["StudyRun", "export_study", "report_study", "rescore", "study_of_run"]


class StudyRun(NamedTuple):
    """A run of a study."""

    study: Study
    run: dict[str, Any]


def study_of_run(home: str, word: str) -> StudyRun:
    """The study that a run (an id, a name, `last`) works for. Raises `CliError` if it works for none."""
    path = Home(Path(home))
    none = CliError(f"{word} is no run of a study here", hint="passloop tune SPEC.yaml", exit_code=Exit.NOT_FOUND)
    if not path.database.exists():
        raise none
    with Reader.open(path) as reader:
        found = next(iter(reader.runs(limit=1)), None) if word == "last" else reader.run(word.removeprefix("@"))
        source = None if found is None else reader.source(found.row.id)
        if found is None or source is None or source.row.kind != "tune":
            raise none
        told = json.loads(source.spec)
        run = {"id": found.row.id, "name": found.row.name}
        return StudyRun(study_of_text(told["study"]).on(Box(*told["box"])), run)


def report_study(home: str, found: StudyRun, out: str | None, *, files: bool) -> None:
    """Print the table of a study, and write its page."""
    standing = _standing(home, found)
    if files:
        path = Path(out or f"passloop-report-{found.study.name}.html")
        _written(path, report_html(standing, made_at=SystemClock().wall()).encode(), "passloop report --out FILE")
    for line in table_lines(standing, width=streams.width()):
        streams.emit(line)


def export_study(home: str, found: StudyRun, out: str | None, form: str | None, *, optuna: str | None) -> None:
    """Write one record for each trial, or the whole study as Optuna keeps studies."""
    standing = _standing(home, found)
    if optuna is not None:
        _export_optuna(standing, Path(optuna))
        return
    chosen = form or Path(out or "").suffix.removeprefix(".").lower() or "csv"
    if chosen not in FORMS:
        known = ", ".join(FORMS)
        raise CliError(f"a study is exported as one of: {known}", hint="passloop export RUN --format csv -o FILE")
    try:
        data = write_records(standing, chosen)
    except BadValue as bad:
        raise CliError(bad.what, hint=bad.fix) from None
    if out is not None:
        _written(Path(out), data, "passloop export --out FILE")
    elif chosen == "parquet":
        raise CliError("Parquet goes to a file", hint="passloop export RUN --format parquet -o trials.parquet")
    else:
        streams.emit_data(data.decode().rstrip("\n"))


def rescore(home: str, word: str, spec: str | None, *, as_json: bool) -> int:
    """Judge the stored trials of a run again: by its own objectives and SLOs, or by those of another spec."""
    found = study_of_run(home, word)
    if spec is not None:
        found = found._replace(study=_judging(found.study, spec))
    standing = _standing(home, found)
    if as_json:
        streams.emit_json(study_document(standing, found.run))
    else:
        for line in table_lines(standing, width=streams.width()):
            streams.emit(line)
    return 0 if standing.best is not None else 1


def _judging(stored: Study, path: str) -> Study:
    """The study of a spec that is to judge trials of another: both measure the same."""
    study = study_of_file(load_spec(path), cwd=Path.cwd())
    if study.id != stored.id:
        what = f"{path} does not measure what this run measured: its engine or its load is another"
        raise CliError(what, hint=f"passloop tune {path}")
    return study


def _standing(home: str, found: StudyRun) -> Standing:
    with Reader.open(Home(Path(home))) as reader:
        return standing_of(reader, found.study, run=int(found.run["id"]))


def _export_optuna(standing: Standing, path: Path) -> None:
    if path.exists():
        raise CliError(f"{path} is there already", hint="give the name of a new file")
    try:
        count = write_optuna(standing, path)
    except MissingPart as missing:
        raise CliError(str(missing), hint="pip install 'passloop[tune]'") from None
    streams.say(f"written: {path} ({count} trials). Look: optuna-dashboard sqlite:///{path}")


def _written(path: Path, data: bytes, hint: str) -> None:
    try:
        with whole_file(path) as file:
            file.write(data)
    except OSError as refused:
        raise CliError(f"{path} cannot be written: {refused.strerror}", hint=hint) from None
    streams.say(f"written: {path}")

"""What a request to tune says, and whether the study has a run that is still under way. Pure reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from passloop.apps.errors import Problem, SpecError
from passloop.apps.text import shown
from passloop.apps.tune.candidates import Box
from passloop.apps.tune.secrets import literal_secrets, references
from passloop.apps.tune.study import Study, study_of_text
from passloop.drivers.calls.secrets import KeyMissing, resolve
from passloop.kernel.source_rows import OPEN_STATES
from passloop.kernel.tasks import FINAL_STATES

from .expander import KIND, spec_hash
from .samplers import MissingPart, check_parts

if TYPE_CHECKING:
    from passloop.store.reader import Reader, RunView

__all__ = ["TuneRequest", "decode_request", "live_run", "runs_of_study"]


class TuneRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /tune: a study as `Study.wire` tells it, the environment of its trials, and what the machine has
    (GPUs, and MiB of the largest).
    """

    study: str
    environment: dict[str, str] = {}
    box: tuple[int | None, int | None] = (None, None)

    def read(self) -> Study:
        """The study. Raises `SpecError`."""
        try:
            study = study_of_text(self.study).on(Box(*self.box))
            check_parts(study.spec.search.sampler)
            _check_secrets(study)
        except MissingPart as missing:
            raise SpecError([Problem(str(missing), "or choose another sampler", "search.sampler")]) from None
        except (ValueError, LookupError, TypeError) as error:
            problem = Problem(f"the study is not readable: {error}", "send what `passloop tune` sends")
            raise SpecError([problem]) from None
        return study


def _check_secrets(study: Study) -> None:
    """Raise `SpecError` for secrets that stand in the study itself, and for references that lead nowhere from here."""
    env = study.spec.engine.env
    problems = [Problem(bad.what, bad.fix, f"engine.env.{name}") for name, bad in literal_secrets(env)]
    for name, reference in ({} if problems else references(env, study.load.options, study.folder)).items():
        try:
            resolve(reference, what=name)
        except KeyMissing as missing:
            problems.append(Problem(str(missing), f"or write {name}: file:PATH", f"engine.env.{name}"))
    if problems:
        raise SpecError(problems)


_decoder = msgspec.json.Decoder(TuneRequest)


def decode_request(body: bytes) -> TuneRequest:
    """Read a request body. Raises `SpecError`."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        what = f"the request is not readable: {error}"
        raise SpecError([Problem(what, "send what POST /tune describes", "request body")]) from None


def runs_of_study(reader: Reader, study: str) -> Iterator[tuple[RunView, Mapping[str, Any]]]:
    """The runs of a study, newest first, each with what is told about it."""
    for view in reader.runs():
        if f'"{KIND}"' in view.about:
            about = json.loads(view.about)
            if about.get("kind") == KIND and about.get("study") == study:
                yield view, about


def live_run(reader: Reader, study: Study) -> RunView | None:
    """The run of the same study that is still under way. Raises `SpecError` if it is of another spec."""
    for view, about in runs_of_study(reader, study.id):
        is_open = view.source is not None and view.source.row.state in OPEN_STATES
        if not is_open and all(state in FINAL_STATES for state, count in view.counts.items() if count):
            continue
        if about.get("hash") == spec_hash(study):
            return view
        run = view.row.id
        what = (
            f"run {run} ({shown(view.row.name)}) measures the same server under the same load for another spec, and "
            "both would take up the same configurations: one after the other, what the first measured serves both"
        )
        fix = f"passloop wait @{run}, then the same command again; or end that run: passloop cancel @{run}"
        raise SpecError([Problem(what, fix)])
    return None

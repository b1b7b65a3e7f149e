"""Places and sweeps for the tests of the queue app."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.options import Place, SubmitOptions, document_of
from passloop.apps.queue.sweep import Sweep, sweep_of
from passloop.apps.queue.wire import WireSubmission, submission_from
from passloop.apps.spec_file import parse_spec

HERE = Place(cwd="/", environment={"PATH": "/bin", "HF_TOKEN": "canary-1"})


def submitted(*command: str, place: Place = HERE, **options: object) -> WireSubmission:
    """The submission of a command with these options."""
    return submission_from(document_of(SubmitOptions(**options), command or ("true",), place))  # type: ignore[arg-type]


def refused(*command: str, **options: object) -> SpecError:
    """The error of a command with these options."""
    with pytest.raises(SpecError) as caught:
        submitted(*command, **options)
    return caught.value


def sweep(text: str, place: Place = HERE, folder: Path = Path("/")) -> Sweep:
    """The sweep of a spec in a file `s.yaml`."""
    return sweep_of(parse_spec(text.encode(), name="s.yaml", folder=folder), place)


def refused_sweep(text: str, place: Place = HERE) -> SpecError:
    """The error of a spec, up to its submission."""
    with pytest.raises(SpecError) as caught:
        sweep(text, place).submission(place)
    return caught.value


def places_of(error: SpecError) -> list[str]:
    """Where its problems are."""
    return [problem.where for problem in error.problems]

"""Words become one request: what goes with a spec, and which verb a mistake points at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.wire import decode_submission
from passloop.cli.exits import CliError
from passloop.cli.submitting import request_of


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A sweep of two cells, in the directory where the command is given."""
    (tmp_path / "s.yaml").write_text("run: two\ncommand: [echo, '{n}']\nmatrix: {n: [1, 2]}\n")
    monkeypatch.chdir(tmp_path)
    return "s.yaml"


@pytest.mark.parametrize("verb", ["run", "submit"])
def test_a_mistake_points_at_the_help_of_its_own_verb(verb: str) -> None:
    with pytest.raises(SpecError) as wrong:
        request_of(("true",), {"gpus": "many"}, home="/nowhere", verb=verb)
    assert wrong.value.next_command == f"passloop {verb} --help"
    with pytest.raises(CliError) as nothing:
        request_of((), {}, home="/nowhere", verb=verb)
    assert nothing.value.hint == f"passloop {verb} --help"


def test_a_spec_can_be_submitted_held(spec: str) -> None:
    for held in (False, True):
        request = request_of((spec,), {"held": held}, home="/nowhere")
        assert (decode_submission(request.body).held, request.spec) == (held, spec)


@pytest.mark.parametrize(
    ("said", "option"), [({"gpus": "1"}, "--gpus"), ({"or_variants": ("gpus=0",)}, "--or"), ({"group": "g"}, "--group")]
)
def test_an_option_that_a_spec_would_pass_over_is_refused(spec: str, said: dict[str, Any], option: str) -> None:
    with pytest.raises(CliError, match=f"{option} does not go with a spec"):
        request_of((spec,), said, home="/nowhere")

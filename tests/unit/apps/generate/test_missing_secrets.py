"""A secret that the engine cannot find is told before anything is asked, not by each call."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.generate.declaring import check_keys
from tests.support.generating import dataset_from

ENVIRON = {"A_KEY": "there"}


@pytest.mark.parametrize(
    ("said", "place"),
    [({"api_key": "env:A_KEY"}, "api_key"), ({"headers": {"api-key": "env:A_KEY"}}, "headers.api-key")],
)
def test_a_secret_that_the_engine_has_not_is_refused_where_it_is_named(
    said: dict[str, object], place: str, tmp_path: Path
) -> None:
    dataset = dataset_from(tmp_path, environ=ENVIRON, endpoint=said)
    with pytest.raises(SpecError) as refused:
        check_keys(dataset, {})
    [problem] = refused.value.problems
    assert problem.where == f"endpoints.here.{place}"
    assert "A_KEY" in problem.what
    check_keys(dataset, ENVIRON)

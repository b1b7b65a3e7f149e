"""What the cells of a column ask of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.generate.cells import task_spec
from tests.support.generating import dataset_from


@pytest.mark.parametrize(
    ("said", "wish"), [("wait", "wait"), ("fail", "end"), ("drop_rows", "fail"), ("finish_rest", "fail")]
)
def test_calls_carry_what_their_dataset_wants_of_a_dead_endpoint(tmp_path: Path, said: str, wish: str) -> None:
    made = dataset_from(tmp_path, on_dead_endpoint=said)
    assert task_spec(made, made.columns["text"]).on_dead == wish


@pytest.mark.parametrize("url", ["http://box/v1/", "http://BOX/v1", "HTTP://box/v1", "http://box:80/v1"])
def test_another_spelling_of_a_url_is_the_same_endpoint_and_asks_nothing_again(tmp_path: Path, url: str) -> None:
    first, again = (dataset_from(tmp_path, one) for one in ("http://box/v1", url))
    assert first.fingerprints == again.fingerprints
    assert first.models["m"].pool == again.models["m"].pool


@pytest.mark.parametrize("url", ["http://box/V1", "http://box:8080/v1", "https://box/v1", "http://box:443/v1"])
def test_another_place_is_another_endpoint(tmp_path: Path, url: str) -> None:
    first, again = (dataset_from(tmp_path, one) for one in ("http://box/v1", url))
    assert first.fingerprints != again.fingerprints


def test_a_host_named_as_a_resource_of_the_machine_is_not_it(tmp_path: Path) -> None:
    dataset = dataset_from(tmp_path, "http://cpu")
    assert str(dataset.models["m"].endpoint.pool) == "cpu/"

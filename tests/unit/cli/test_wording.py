"""How requests look in a table."""

from __future__ import annotations

import pytest

from passloop.cli.wording import request_text


def test_a_request_is_told_in_the_units_of_people() -> None:
    variants = [{"gpus": 2, "vram_mib": 20_480, "cpus_milli": 4_000}, {"cpus_milli": 500, "need": {"licence": 1}}]
    assert request_text(variants) == "2 gpus x 20 GiB, 4 cpus or 0.5 cpu, 1 licence"


def test_the_rates_of_an_endpoint_are_not_told_beside_a_place_there() -> None:
    need = {"h/v1/m": 1, "h/v1/m:requests": 1, "h/v1/m:tokens": 512, "other:tokens": 2}
    assert request_text([{"need": need}]) == "1 h/v1/m, 2 other:tokens"


@pytest.mark.parametrize("pool", ["leases-1", "trials:study:93ae5c", "parallel/folds"])
def test_a_pool_that_limits_how_many_run_at_once_is_no_part_of_what_was_asked(pool: str) -> None:
    assert request_text([{"gpus": 1, "need": {pool: 1}}]) == "1 gpu"

"""What a point measured follows from the records of its requests alone, by the definitions in the documents."""

from __future__ import annotations

import msgspec
import pytest

from passloop.apps.tune.load.requests import RequestRecord
from passloop.apps.tune.load.results import duration_of, is_good, point_result
from passloop.apps.tune.records import Point, PointResult

POINT = Point(concurrency=2)


def answered(index: int = 0, *, at: float = 0.0, ttft: float = 100, tpot: float = 10, tokens: int = 5) -> RequestRecord:
    """A request due and sent at a time, with these latencies."""
    first = at + ttft
    last = first + tpot * (tokens - 1)
    return RequestRecord(
        point="concurrency=2",
        repeat=0,
        index=index,
        scheduled=at,
        sent=at,
        first=first,
        last=last,
        ended=last,
        tokens_in=7,
        tokens_out=tokens,
        chunks=tokens,
        status=200,
    )


def broken(kind: str = "closed", *, at: float = 0.0, ended: float = 50) -> RequestRecord:
    return RequestRecord(
        point="concurrency=2", repeat=0, index=9, scheduled=at, sent=at, ended=ended, first=at + 1, error=kind
    )


def measured(*repeats: list[RequestRecord], gpus: int = 0, **limits: float) -> PointResult:
    return point_result(POINT, repeats, limits=limits, gpus=gpus)


def test_latencies_count_from_the_scheduled_time() -> None:
    late = msgspec.structs.replace(answered(ttft=100), scheduled=-900.0)
    metrics = measured([late]).metrics
    assert metrics["ttft"]["p99"] == 1000
    assert metrics["e2e"]["mean"] == 1040


def test_the_time_between_tokens_leaves_out_the_first_token() -> None:
    assert answered(ttft=5000, tpot=10, tokens=5).tpot("usage") == pytest.approx(10)
    assert measured([answered(ttft=5000, tpot=10)]).metrics["tpot"]["p50"] == pytest.approx(10)


def test_an_answer_of_one_token_has_no_time_between_tokens() -> None:
    one = answered(tokens=1)
    assert one.tpot("usage") is None
    assert "tpot" not in measured([one]).metrics
    assert is_good(one, {"tpot": 1.0, "ttft": 100.0})


def test_rates_are_counts_over_the_whole_span() -> None:
    metrics = measured([answered(at=0), answered(1, at=860)]).metrics
    assert duration_of([answered(at=0), answered(1, at=860)]) == 1000
    assert metrics["output_tokens_per_second"] == {"mean": 10.0}
    assert metrics["total_tokens_per_second"] == {"mean": 24.0}
    assert metrics["requests_per_second"] == {"mean": 2.0}


def test_gpus_share_each_rate() -> None:
    metrics = measured([answered(at=0), answered(1, at=860)], gpus=4).metrics
    assert metrics["output_tokens_per_second_per_gpu"] == {"mean": 2.5}
    assert metrics["goodput_per_gpu"] == {"mean": 0.5}
    assert "goodput_per_gpu" not in measured([answered()]).metrics


def test_goodput_counts_requests_that_keep_every_limit() -> None:
    slow, fine = answered(1, at=0, ttft=860), answered(0, at=0, ttft=100)
    metrics = measured([fine, slow], ttft=800.0, tpot=20.0).metrics
    assert metrics["requests_per_second"]["mean"] == pytest.approx(2 / 0.9)
    assert metrics["goodput"]["mean"] == pytest.approx(1 / 0.9)
    assert metrics["attainment"]["mean"] == 0.5


def test_errors_are_misses_and_no_latencies() -> None:
    result = measured([answered(), broken("timeout"), broken(), broken()], ttft=800.0)
    assert result.errors == 3
    assert result.error_kinds == {"closed": 2, "timeout": 1}
    assert result.metrics["error_rate"]["mean"] == 0.75
    assert result.metrics["attainment"]["mean"] == 0.25
    assert result.metrics["ttft"]["mean"] == 100
    assert not is_good(broken(), {})


def test_attainment_has_wilsons_interval_of_all_requests() -> None:
    attainment = measured([answered()] * 5, [answered()] * 5).metrics["attainment"]
    assert attainment["mean"] == attainment["high"] == 1.0
    assert attainment["low"] == pytest.approx(0.7225, abs=1e-4)


def test_a_point_without_an_answer_has_no_score_at_all() -> None:
    """Zero tokens a second would be one."""
    metrics = measured([broken(), broken()]).metrics
    assert set(metrics) == {"error_rate", "attainment"}


def test_without_usage_there_are_no_token_rates_unless_parts_are_counted() -> None:
    silent = msgspec.structs.replace(answered(), tokens_out=None, tokens_in=None)
    metrics = point_result(POINT, [[silent, answered(at=1)]], limits={}).metrics
    assert "output_tokens_per_second" not in metrics
    assert "requests_per_second" in metrics
    by_parts = point_result(POINT, [[silent]], limits={}, counted="chunks").metrics
    assert "output_tokens_per_second" in by_parts
    assert by_parts["tpot"]["mean"] == pytest.approx(10)
    assert "total_tokens_per_second" not in by_parts
    assert not is_good(silent, {"tpot": 20.0})


def test_repeats_have_a_mean_and_students_interval() -> None:
    result = measured(*([answered(ttft=value)] for value in (90.0, 100.0, 110.0)))
    assert result.metrics["ttft"]["p95"] == 100
    assert result.half_width["ttft"]["p95"] == pytest.approx(4.3027 * 10 / 3**0.5, abs=1e-2)
    assert "attainment" not in result.half_width
    assert measured([answered()]).half_width == {}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_repeat_lacks_the_point_lacks(order: tuple[int, int]) -> None:
    repeats = [[answered()], [broken()]]
    result = measured(*(repeats[number] for number in order))
    assert "ttft" not in result.metrics
    assert "output_tokens_per_second" not in result.metrics
    assert result.metrics["error_rate"]["mean"] == 0.5


def test_no_requests_measure_nothing() -> None:
    result = measured([])
    assert (result.requests, result.metrics, result.duration) == (0, {}, 0.0)
    assert measured().metrics == {}


def test_stored_lines_give_the_same_result_again_under_any_limits() -> None:
    records = [answered(n, at=n * 10.0, ttft=50.0 + n) for n in range(30)] + [broken()]
    lines = [msgspec.json.encode(record) for record in records]
    again = [msgspec.json.decode(line, type=RequestRecord) for line in lines]
    for limit in (60.0, 70.0):
        assert measured(again, ttft=limit) == measured(records, ttft=limit)


def test_goodput_counts_tokens_as_the_load_is_told_to() -> None:
    # five parts of the stream, but one token by the server's word: by parts there are 10 ms between two, by tokens none
    slow = msgspec.structs.replace(answered(ttft=100, tpot=10, tokens=5), tokens_out=1)
    limits = {"tpot": 5.0}
    by_parts = point_result(POINT, [[slow]], limits=limits, counted="chunks").metrics
    by_usage = point_result(POINT, [[slow]], limits=limits, counted="usage").metrics
    assert (by_parts["goodput"]["mean"], by_parts["attainment"]["mean"]) == (0.0, 0.0)
    assert (by_usage["goodput"]["mean"] > 0, by_usage["attainment"]["mean"]) == (True, 1.0)

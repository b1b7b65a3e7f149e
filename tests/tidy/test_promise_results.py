"""What tests of promises wrote down, as the page takes it in: a figure counts if its test passed, of one commit, and is
held to what the promise asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from .test_guarantees import MAKER

KILLS = "crash/test_p01_an_acknowledged_submit_is_never_lost.py::test_p01_a_thousand_kills_lose_no_acknowledged_submit"
SMALL = "crash/test_p01_an_acknowledged_submit_is_never_lost.py::test_p01_two_hundred_kills_lose_no_acknowledged_submit"
SEEDS = (
    "simulation/test_p14_no_starvation_no_deadlock_true_reasons.py::test_every_history_keeps_every_promise_at_length"
)
CUTS = "crash/test_p07_power_cut.py::test_p07_a_power_cut_loses_nothing_that_was_acknowledged"
CLIENTS = "e2e/test_p19_many_clients_at_once.py::test_a_minute_of_many_clients_meets_no_lock_and_is_answered_soon"
GPU = "crash/test_p04_a_real_gpu_has_one_user.py::test_p04_a_device_is_kept_from_everybody_while_its_last_user_is_there"
DISK = "crash/test_p08_disk_full.py::test_p08_a_full_store_is_said_loses_nothing_and_goes_on_alone"
SERVER = (
    "crash/test_p06_a_real_model_server_leaves_nothing.py::test_p06_vllm_killed_with_9_leaves_no_engine_and_no_worker"
)


def line(test: str, **fields: object) -> str:
    """What is in every line."""
    dated = {"date": "2026-01-02", "time": "2026-01-02T01:00:00.000", "version": "1", "commit": "aaaaaaaa"}
    return json.dumps({"test": f"tests/{test}", "size": "large", "reason": ""} | dated | fields)


def shown(promise: str, test: str, outcome: str = "passed", *, said: str = "x", **fields: Any) -> list[str]:
    """A test of one promise records and ends; `fields` of a line, and else numbers."""
    own = {name: fields.pop(name) for name in ("size", "commit", "date", "time", "reason") if name in fields}
    record = {"promise": promise, "figure": said, "numbers": fields, "process": 7}
    return [line(test, **record, **own), line(test, outcome=outcome, **own)]


def chunks(count: int, **fields: Any) -> list[str]:
    """So many parts of P14, a thousand seeds each."""
    parts = (shown("P14", f"{SEEDS}[{n}]", **({"seeds": 1_000, "events": 500} | fields)) for n in range(count))
    return [one for part in parts for one in part]


def cell(lines: Iterable[str], promise: str, size: str = "large", *, before: Iterable[Any] = ()) -> str:
    """What the first table says of a promise's figures of this size."""
    page: str = MAKER.page(MAKER.take_in(before, lines))
    (row,) = [row for row in page.splitlines() if row.startswith(f"| {promise} |")]
    return row.strip("|").split(" | ")[2 if size == "small" else 3].strip()


def test_parts_of_one_test_are_added_up_and_told_together() -> None:
    assert cell(chunks(20), "P14").startswith("✓ 20,000 seeds of 500 events<br>")
    assert "- large, 2026-01-02, 1 at `aaaaaaaa`:\n  - 20 x x\n" in MAKER.page(MAKER.take_in([], chunks(20)))


def test_what_is_too_little_is_not_shown_and_says_how_much_it_is() -> None:
    assert "**not shown: 1,000 of 20,000 seeds of 500 events**" in cell(chunks(1), "P14")
    assert "**not shown: 0 of 20,000 seeds of 500 events**" in cell(chunks(20, events=499), "P14")


@pytest.mark.parametrize(("p99", "told"), [(199.9, "p99 in ms below 200"), (200.0, "below 200: it is 200.0**")])
def test_what_must_stay_below_a_limit_is_held_to_it(p99: float, told: str) -> None:
    said = cell(shown("P19", CLIENTS, clients=32, requests=9_000, seconds=60, longest_ms=1, p99_ms=p99), "P19")
    assert said.endswith(told)
    assert ("not shown" in said) == (p99 == 200)


def test_what_must_be_written_down_and_is_not_is_not_shown() -> None:
    assert "**not shown: p99 in ms below 200: nothing was written down**" in cell([], "P19")


def test_a_red_test_takes_its_figure_away() -> None:
    before = MAKER.take_in([], chunks(20))
    after = shown("P14", f"{SEEDS}[3]", "failed", seeds=1_000, events=500, time="2026-01-02T02:00:00.000")
    said = cell(after, "P14", before=before)
    assert "**not shown: 19,000 of 20,000 seeds of 500 events**" in said
    assert said.endswith("✗ **red: `test_every_history_keeps_every_promise_at_length`**")
    assert "red" not in cell(chunks(20, time="2026-01-02T03:00:00.000"), "P14", before=MAKER.take_in(before, after))


def test_a_red_test_that_records_nothing_is_told_with_the_promises_of_its_file() -> None:
    red = [line("unit/engine/test_turns.py::test_x", outcome="failed", size="small")]
    names = {row.split(" | ")[0] for row in MAKER.page(MAKER.take_in([], red)).splitlines() if "red: `test_x`" in row}
    assert names == set(), "there is no such test"
    assert "red" in cell([line(KILLS, outcome="failed")], "P1")
    assert "red" not in cell([line(KILLS, outcome="failed")], "P2")


def test_a_test_that_passes_and_records_nothing_any_more_takes_its_figure_away() -> None:
    before = MAKER.take_in([], shown("P1", KILLS, kills=1_000))
    assert cell([], "P1", before=before).startswith("✓ 1,000 kills")
    assert cell([line(KILLS, outcome="passed")], "P1", before=before).startswith("✗ **not shown: 0 of 1,000 kills")


def test_a_skipped_test_leaves_what_was_shown_and_says_why_it_was_skipped() -> None:
    before = MAKER.take_in([], shown("P6", SERVER, servers=1, latest_ms=5))
    skipped = [line(SERVER, outcome="skipped", reason="no such thing here", time="2026-01-03T01:00:00.000")]
    page = MAKER.page(MAKER.take_in(before, skipped))
    assert "1 real model server<br>(1 test skipped, see below) |" in page
    assert "**skipped** `test_p06_vllm_killed_with_9_leaves_no_engine_and_no_worker` no such thing here" in page


def test_a_test_that_was_interrupted_shows_nothing_and_does_not_count_when_it_is_run_again() -> None:
    interrupted = shown("P14", f"{SEEDS}[0]", seeds=1_000, events=500)[:1]
    assert MAKER.take_in([], interrupted) == []
    again = [one.replace('"process": 7', '"process": 8') for one in chunks(1)]
    assert "1,000 of 20,000" in cell([*interrupted, *again], "P14")


def test_figures_of_two_commits_are_not_added_up() -> None:
    before = MAKER.take_in([], chunks(20))
    assert "10,000 of 20,000" in cell(chunks(10, commit="bbbbbbbb"), "P14", before=before)
    of_another_test = shown("P14", KILLS, seeds=5_000, events=500, commit="bbbbbbbb")
    assert "15,000 of 20,000" in cell([*chunks(15), *of_another_test], "P14")


def test_the_head_names_the_commits_of_the_large_figures() -> None:
    one = shown("P1", KILLS, kills=1_000)
    page = MAKER.page(MAKER.take_in([], one))
    assert re.search(
        r"All large figures that are shown are of `aaaaaaaa`. \d\d of \d\d large figures are not shown.", page
    )
    two = MAKER.page(MAKER.take_in([], [*one, *chunks(20, commit="bbbbbbbb")]))
    assert "The large figures are not of one commit. `aaaaaaaa`: P1; `bbbbbbbb`: P14." in two


def test_a_line_that_does_not_say_when_is_passed_over() -> None:
    older = [json.dumps({k: v for k, v in json.loads(one).items() if k != "time"}) for one in chunks(20)]
    assert MAKER.take_in([], [*older, *older[::2]]) == []


@pytest.mark.parametrize("commit", ["", None])
def test_what_is_of_no_known_commit_is_told_and_shows_nothing(commit: str | None) -> None:
    """Neither what adds up, nor what must be at least so much, nor what must stay below a limit."""
    clients = {"clients": 32, "requests": 9_000, "seconds": 60, "longest_ms": 1, "p99_ms": 1}
    lines = [*chunks(20, commit=commit), *shown("P19", CLIENTS, commit=commit, said="so many clients", **clients)]
    older = [{k: v for k, v in one.items() if k != "time"} for one in MAKER.take_in([], lines)]
    assert "✓" not in cell([], "P14", before=older) + cell([], "P19", before=older)
    page = MAKER.page(older)
    assert re.search(r"No large figure was written down yet at a commit that is known. (\d\d) of \1 large", page)
    assert "- large, 2026-01-02, 1 at an unknown commit, not counted:\n  - so many clients\n" in page


def test_a_file_that_was_left_lying_takes_the_place_of_nothing() -> None:
    now = MAKER.take_in([], shown("P1", KILLS, kills=1_000, time="2026-01-03T01:00:00.000"))
    assert MAKER.take_in(now, shown("P1", KILLS, "failed", kills=1_000)) == now


def test_the_same_file_once_more_changes_nothing_where_a_test_wrote_several_lines() -> None:
    first, _ = shown("P19", CLIENTS, clients=32, time="2026-01-02T01:00:00.001")
    lines = [first, *shown("P19", CLIENTS, p99_ms=1, said="y", time="2026-01-02T01:00:00.002")]
    once = MAKER.take_in([], lines)
    assert [one["figure"] for one in once] == ["x", "y"]
    assert MAKER.take_in(once, lines) == once


def test_a_result_whose_test_is_gone_is_not_shown() -> None:
    gone = shown("P1", "crash/test_p01_an_acknowledged_submit_is_never_lost.py::test_gone", said="51 kills", kills=51)
    assert "51" not in MAKER.page(MAKER.take_in([], gone))


def lacking(lines: list[str]) -> list[str]:
    """What `make test` says at its end."""
    return list(MAKER.check(MAKER.take_in([], lines)))


def test_small_figures_that_are_too_small_are_faults(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [one for n in range(8) for one in shown("P7", f"{CUTS}[{n}]", size="small", states=250)]
    assert not any(fault.startswith("P7: 2,000") for fault in lacking(lines))
    assert "P7: 250 of 2,000 crash states of the store" in lacking(lines[:2])
    assert "P1: 199 of 200 kills of the engine" in lacking(shown("P1", SMALL, size="small", kills=199))
    assert {fault.partition(":")[0] for fault in lacking([])} == {f"P{number}" for number in range(1, 20)}
    skipped = [line(test, outcome="skipped", reason="no such thing", size="small") for test in (DISK, f"{GPU}[real]")]
    assert not [fault for fault in lacking(skipped) if "disk of the store" in fault or "real GPU" in fault]
    assert "P4: 0 of 1 GPU of the stand-in for NVML" in lacking(skipped), "only its own test excuses a figure"
    assert "P8: 0 of 1 full disk of attempts" in lacking(skipped)
    assert "P8: ms from free space to work below 5,000: nothing was written down" in lacking(skipped)
    assert "P8: not shown here, because a test was skipped: 0 of 1 full disk of the store" in capsys.readouterr().out


def test_the_report_says_what_is_shown_what_lacks_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert not MAKER.report(MAKER.take_in([], [*chunks(20), line(KILLS, outcome="failed")]))
    told = capsys.readouterr().out
    assert "P14 shown at aaaaaaaa: 20,000 of 20,000 seeds of 500 events\nP14 LACKS: 0 of 500 seeds" in told
    assert "P1  FAILED: test_p01_a_thousand_kills_lose_no_acknowledged_submit\n" in told


def test_what_passed_on_this_very_commit_need_not_run_again() -> None:
    lines = [*chunks(2), *shown("P1", KILLS, "failed", kills=1_000), *shown("P1", SMALL, size="small", kills=200)]
    tests = [f"tests/{SEEDS}[{n}]" for n in range(2)]
    assert MAKER.passed_on("aaaaaaaa", lines) == tests
    assert MAKER.passed_on("bbbbbbbb", lines) == []
    assert MAKER.passed_on("aaaaaaaa+", chunks(2, commit="aaaaaaaa+")) == []
    assert MAKER.passed_on("aaaaaaaa", [*lines, line(f"{SEEDS}[0]", outcome="failed")]) == tests[1:]


def test_the_page_made_anew_from_the_same_results_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the file that it was made from, with the same once more, and with none."""
    monkeypatch.setattr(MAKER, "PAGE", tmp_path / "page")
    monkeypatch.setattr(MAKER, "RESULTS", tmp_path / "results")
    written = tmp_path / "lines"
    made: set[tuple[str, str]] = set()
    for lines in (chunks(20), chunks(20), []):
        written.write_text("".join(f"{one}\n" for one in lines))
        assert MAKER.main([str(written), str(tmp_path / "not there")]) == 0
        made.add((MAKER.PAGE.read_text(), MAKER.RESULTS.read_text()))
    assert len(made) == 1
    assert "| ✓ 20,000 seeds of 500 events<br>" in MAKER.PAGE.read_text()

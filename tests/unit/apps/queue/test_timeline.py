"""Facts about the timeline: lanes, bars that share a device, and why nothing ran in a gap."""

from __future__ import annotations

from passloop.apps.queue.report import build_report
from passloop.apps.queue.report_html import report_html
from passloop.apps.queue.timeline import Timeline, build_timeline
from tests.support.json_tasks import START, at, attempt, task

GPU = [{"gpus": 1, "vram_mib": None, "cpus_milli": 0, "mem_mib": None, "need": {}}]


def timeline_of(*tasks: dict[str, object]) -> Timeline:
    timeline = build_timeline(build_report(tasks, made_at=START + 100_000))
    assert timeline is not None
    return timeline


def gaps(timeline: Timeline, lane: int = 0) -> list[tuple[int, int, str]]:
    """Gaps of a lane in milliseconds from the start of the sample."""
    return [(gap.start - START, gap.end - START, gap.reason) for gap in timeline.lanes[lane].gaps]


def test_nothing_started_draws_nothing() -> None:
    assert build_timeline(build_report([task(1)], made_at=START)) is None


def test_each_device_has_a_lane_and_attempts_without_one_are_packed() -> None:
    timeline = timeline_of(
        task(1, attempt(0, 10, gpus=["GPU-b", "GPU-a"]), request=GPU),
        task(2, attempt(0, 5)),
        task(3, attempt(1, 2)),
        task(4, attempt(6, 7)),
    )
    assert [lane.label for lane in timeline.lanes] == ["GPU-a", "GPU-b", "CPU 1", "CPU 2"]
    assert [bar.row.id for bar in timeline.lanes[2].bars] == [2, 4]


def test_attempts_that_share_a_device_get_a_track_each() -> None:
    timeline = timeline_of(
        task(1, attempt(0, 10, gpus=["GPU-a"]), request=GPU),
        task(2, attempt(5, 15, gpus=["GPU-a"]), request=GPU),
        task(3, attempt(11, 12, gpus=["GPU-a"]), request=GPU),
    )
    (lane,) = timeline.lanes
    assert [bar.track for bar in lane.bars] == [0, 1, 0]
    assert (lane.tracks, lane.busy) == (2, 15_000)
    assert lane.gaps == ()


def test_a_gap_with_nothing_left_to_start_is_idle() -> None:
    timeline = timeline_of(task(1, attempt(0, 1)), task(2, attempt(0, 5)))
    assert gaps(timeline, 0) == [(1000, 5000, "idle")]


def test_a_gap_while_ready_work_waits_is_blocked() -> None:
    timeline = timeline_of(
        task(1, attempt(0, 1, gpus=["GPU-a"]), request=GPU),
        task(2, attempt(0, 4, gpus=["GPU-b"]), request=GPU),
        task(3, attempt(4, 6, gpus=["GPU-a", "GPU-b"]), request=GPU),
    )
    assert gaps(timeline, 0) == [(1000, 3990, "blocked"), (3990, 4000, "starting")]


def test_work_for_cpus_does_not_explain_a_gap_on_a_gpu() -> None:
    timeline = timeline_of(
        task(1, attempt(0, 1, gpus=["GPU-a"]), request=GPU), task(2, attempt(0, 5)), task(3, attempt(5, 6))
    )
    assert gaps(timeline, 0) == [(1000, 6000, "idle")]


def test_a_gap_before_a_retry_is_backoff() -> None:
    timeline = timeline_of(task(1, attempt(0, 1, outcome="failure"), attempt(3, 4)))
    assert gaps(timeline) == [(1000, 2990, "backoff"), (2990, 3000, "starting")]


def test_a_gap_before_a_dependency_ended_is_its_own_reason() -> None:
    timeline = timeline_of(
        task(1, attempt(0, 3, gpus=["GPU-a"]), request=GPU),
        task(2, attempt(0, 1)),
        task(3, attempt(4, 5), after=[1]),
    )
    assert gaps(timeline, 1) == [
        (1000, 3000, "dependency"),
        (3000, 3990, "blocked"),
        (3990, 4000, "starting"),
    ]


def test_work_that_may_ask_for_more_than_there_is_blames_no_gap_on_what_can_run() -> None:
    asking = task(2, wait_for_capacity=True, state="ready")
    timeline = timeline_of(task(1, attempt(0, 1)), asking, task(3, attempt(10, 11)))
    assert gaps(timeline) == [(1000, 9990, "blocked"), (9990, 10_000, "starting")]
    alone = timeline_of(task(1, attempt(0, 1)), asking, task(3, attempt(10, 11), submitted_at=at(9)))
    assert gaps(alone)[0] == (1000, 9000, "awaiting")
    page = report_html(
        build_report([task(1, attempt(0, 1)), asking, task(3, attempt(9, 10), submitted_at=at(9))], made_at=START)
    )
    assert "only work waits that was told to wait for capacity" in page


def test_held_work_explains_a_gap_only_when_nothing_else_waits() -> None:
    timeline = timeline_of(task(1, attempt(0, 1)), task(2, attempt(0, 5)), task(3, state="held", submitted_at=at(2)))
    assert gaps(timeline, 0) == [(1000, 2000, "idle"), (2000, 5000, "held")]


def test_an_attempt_that_runs_is_drawn_up_to_now() -> None:
    timeline = timeline_of(task(1, attempt(0, 1)), task(2, attempt(2, None, outcome=None)))
    assert timeline.end == START + 100_000
    assert timeline.lanes[0].bars[-1].end == START + 100_000


def test_a_very_long_run_draws_a_bounded_number_of_lanes() -> None:
    tasks = [task(n, attempt(0, 1 + n)) for n in range(1, 200)]
    page = report_html(build_report(tasks, made_at=START + 300_000))
    assert page.count('class="lane"') == 128
    assert "71 more lanes are not drawn" in page


def test_a_long_time_of_nothing_is_cut_out() -> None:
    timeline = timeline_of(task(1, attempt(0, 10)), task(2, attempt(500, 510)))
    assert timeline.parts == ((START, START + 10_000), (START + 500_000, START + 510_000))
    places = [round(timeline.place(START + seconds * 1000), 3) for seconds in (0, 10, 250, 500, 510)]
    assert places == [0.0, 0.49, 0.51, 0.51, 1.0]
    page = report_html(build_report([task(1, attempt(0, 10)), task(2, attempt(500, 510))], made_at=START))
    assert "nothing of this run ran for 8 m 10 s" in page


def test_a_pause_that_is_short_beside_the_work_is_not_cut_out() -> None:
    timeline = timeline_of(task(1, attempt(0, 1_000)), task(2, attempt(1_060, 2_000)))
    assert timeline.parts == ((START, START + 2_000_000),)


def test_a_short_pause_is_not_cut_out() -> None:
    timeline = timeline_of(task(1, attempt(0, 10)), task(2, attempt(30, 40)))
    assert timeline.parts == ((START, START + 40_000),)


def test_what_was_replaced_keeps_its_bar() -> None:
    replaced = [task(1, attempt(0, 5, outcome="failure"))]
    report = build_report([task(2, attempt(6, 7))], made_at=START + 9_000, replaced=replaced)
    timeline = build_timeline(report)
    assert timeline is not None
    assert [bar.row.id for bar in timeline.lanes[0].bars] == [1, 2]
    assert report.counts == {"succeeded": 1}


def test_work_done_counts_what_was_replaced() -> None:
    replaced = [task(1, attempt(0, 5, outcome="failure"))]
    report = build_report([task(2, attempt(6, 7))], made_at=START + 9_000, replaced=replaced)
    assert (report.busy_seconds, report.active) == (6, [(START, START + 5_000), (START + 6_000, START + 7_000)])

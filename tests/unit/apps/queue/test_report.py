"""Facts about reports: columns, cells over seeds, failures by class, and what a hostile text becomes."""

from __future__ import annotations

import html.parser
import io

import pytest
from rich.console import Console

from passloop.apps.figures import lower_is_better, number_text, span_text
from passloop.apps.markup import element, plain_log
from passloop.apps.queue.report import Report, Spread, build_report
from passloop.apps.queue.report_html import report_html
from passloop.apps.queue.report_text import print_report, spread_text
from tests.support.json_tasks import START, attempt, task

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</pre></details><iframe src=javascript:alert(1)>",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;",
    "javascript:alert(1)",
    "]]><script>",
    "<!--",
    "\x1b]8;;http://evil\x07click\x1b]8;;\x07",
    "\x1b[31mred\x1b[0m",
    "\u202ereversed",
    "zero\u200bwidth",
    "NUL\x00byte",
    "{{7*7}} ${7*7} {% x %}",
]


def report_of(*tasks: dict[str, object], log: str = "") -> Report:
    return build_report(tasks, made_at=START + 60_000, log_of=lambda _: log)


def sweep() -> Report:
    return report_of(
        *(
            task(
                3 * cell + seed,
                attempt(seed, seed + 2),
                params={"depth": depth, "seed": seed},
                results={"accuracy": 0.9 + depth / 100 + seed / 1000, "log_loss": 0.5},
            )
            for cell, depth in enumerate((2, 4))
            for seed in (1, 2, 3)
        ),
        task(7, attempt(9, 10, outcome="failure", exit_code=3, message="exit code 3"), params={"depth": -1}),
        log="first line\nValueError: depth must be positive\n",
    )


def test_what_still_runs_never_counts_less_than_nothing_when_the_clock_was_set_back() -> None:
    report = build_report([task(1, attempt(0, 5), attempt(10, None, outcome=None))], made_at=START - 3_600_000)
    assert report.busy_seconds == 5
    assert report.active == [(START, START + 5_000), (START + 10_000, START + 10_000)]
    assert report.span == (START, START + 10_000)


class Reader(html.parser.HTMLParser):
    """Collects the elements and attributes of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes.update(name for name, _ in attrs)


def test_repeats_of_a_cell_become_one_line_with_their_spread() -> None:
    best = sweep().cells[0]
    assert best.params == {"depth": 4}
    assert best.succeeded == 3
    spread = best.metrics["accuracy"]
    assert (round(spread.mean, 6), round(spread.deviation or 0, 6), spread.count) == (0.942, 0.001, 3)


def test_cells_are_ranked_by_the_first_metric_and_failed_ones_come_last() -> None:
    report = sweep()
    assert report.ranked_by == "accuracy"
    assert [cell.params["depth"] for cell in report.cells] == [4, 2, -1]


def test_a_loss_is_better_when_lower() -> None:
    tasks = [task(n, attempt(1, 2), params={"lr": n}, results={"val_loss": n}) for n in (3, 1, 2)]
    assert [cell.params["lr"] for cell in report_of(*tasks).cells] == [1, 2, 3]
    assert not lower_is_better("accuracy")
    assert not lower_is_better("timely")


@pytest.mark.parametrize("metric", ["tokens_per_second", "requests/second", "samples per second", "it/s", "MB_per_s"])
def test_a_rate_is_better_when_higher(metric: str) -> None:
    assert not lower_is_better(metric)
    tasks = [task(n, attempt(1, 2), params={"n": n}, results={metric: n}) for n in (1, 3, 2)]
    assert [cell.params["n"] for cell in report_of(*tasks).cells] == [3, 2, 1]


@pytest.mark.parametrize("metric", ["seconds_per_token", "ms_per_step", "errors_per_second", "bits_per_byte", "nll"])
def test_what_each_takes_or_loses_is_better_when_lower(metric: str) -> None:
    assert lower_is_better(metric)


def test_failures_are_listed_by_class_with_the_last_line_of_the_log() -> None:
    out = io.StringIO()
    print_report(sweep(), Console(file=out, width=120))
    assert "1 failure:" in out.getvalue()
    assert "7  depth=-1  exit code 3: ValueError: depth must be positive" in out.getvalue()


def test_what_is_left_out_is_named_by_the_states_that_it_is_in() -> None:
    out = io.StringIO()
    many = (task(at, state="cancelled", outcome="cancelled", message="cancelled by user") for at in range(1, 13))
    print_report(report_of(*many), Console(file=out, width=120))
    assert "... and 2 more: `passloop ls @7 state:cancelled`" in out.getvalue()


def test_the_table_says_how_many_repeats_succeeded() -> None:
    out = io.StringIO()
    print_report(sweep(), Console(file=out, width=120))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["4", "3/3", "0.9420", "±", "0.0010", "0.5", "2.0", "s", "succeeded"] in lines


def test_nested_results_become_dotted_columns() -> None:
    report = report_of(task(1, attempt(0, 1), results={"eval": {"f1": 0.5, "by_class": [1, 2]}}))
    assert report.rows[0].results == {"eval.f1": 0.5, "eval.by_class": "[1, 2]"}


def test_metrics_that_are_no_numbers_are_shown_and_not_averaged() -> None:
    report = report_of(task(1, attempt(0, 1), results={"ok": True, "loss": float("nan"), "note": "x"}, params={"a": 1}))
    assert report.cells[0].metrics == {}
    assert report.ranked_by is None
    assert "nan" in report_html(report)


def test_a_run_that_still_runs_is_reported_up_to_now() -> None:
    report = report_of(task(1, attempt(10, None, outcome=None)))
    assert report.span == (START + 10_000, START + 60_000)
    assert report.busy_seconds == 50
    assert report.rows[0].seconds is None


def test_tasks_without_parameters_are_listed_by_name() -> None:
    report = report_of(task(1, attempt(0, 1)), task(2))
    page = report_html(report)
    assert "digits-2" in page
    assert len(report.cells) == 2


def test_a_report_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one task"):
        build_report([], made_at=START)


def test_the_file_loads_nothing_and_runs_nothing() -> None:
    page = report_html(sweep())
    reader = Reader(page)
    assert reader.elements.isdisjoint({"script", "link", "img", "iframe", "object", "a", "form"})
    assert reader.attributes.isdisjoint({"src", "href", "style", "onload", "onclick"})
    assert "default-src &#x27;none&#x27;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert "url(" not in page


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(text: str) -> None:
    usual = Reader(report_html(sweep()))
    broken = attempt(0, 1, outcome="failure", exit_code=1, message=text, gpus=[text])
    report = report_of(
        task(
            1,
            broken,
            name=text,
            group=text,
            run={"id": 7, "name": text},
            params={text: text, "n": 1},
            command=[text],
        ),
        task(2, attempt(2, 3), params={text: text, "n": 2}, results={text: text, "x": 1, "y": {text: text}}),
        task(3, state=text, outcome=text),
        log=text,
    )
    page = report_html(report)
    reader = Reader(page)
    assert reader.elements <= usual.elements
    assert reader.attributes <= usual.attributes
    assert not {char for char in page if ord(char) < 32} - {"\n"}
    assert not set(page) & set("\u202e\u200b")


def test_terminal_output_never_carries_control_characters() -> None:
    out = io.StringIO()
    bad = "\x1b[2J\u202ehidden"
    row = task(1, attempt(0, 1, outcome="failure", exit_code=1, message=bad), name=bad, params={bad: bad})
    print_report(report_of(row, log=bad), Console(file=out, width=100))
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()


def test_progress_lines_are_folded_to_their_last_form() -> None:
    assert plain_log("a\n10%\r50%\r100%\nb\r\n") == "a\n100%\nb\n"


def test_children_and_attributes_are_escaped_unless_they_are_markup() -> None:
    inner = element("b", "<")
    assert element("p", inner, ">", title='"') == '<p title="&quot;"><b>&lt;</b>&gt;</p>'


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (0.04, "0.0 s"), (42.4, "42 s"), (200, "3 m 20 s"), (7500, "2 h 05 m")],
)
def test_spans_are_shown_for_people(seconds: float | None, text: str) -> None:
    assert span_text(seconds) == text


@pytest.mark.parametrize(
    ("spread", "text"),
    [
        (Spread(0.93621, 0.0104, 3), "0.936 ± 0.010"),
        (Spread(0.5, None, 1), "0.5"),
        (Spread(2, 0.0, 3), "2"),
        (Spread(123456.0, 2300.0, 3), "1.2346e+05 ± 2.3e+03"),
    ],
)
def test_spreads_show_two_digits_of_the_deviation(spread: Spread, text: str) -> None:
    assert spread_text(spread) == text


def test_whole_numbers_are_shown_in_full() -> None:
    assert [number_text(1_000_000), number_text(3.0), number_text(0.123456789)] == ["1000000", "3", "0.12346"]

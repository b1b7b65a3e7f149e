"""P18 in a browser: with many tasks the first rows come at once, so does a filter, and only rows in sight are drawn."""

from __future__ import annotations

import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from tests.support.browsing import Visit, visits
from tests.support.command_line import ended_boxes
from tests.support.filled_home import fill
from tests.support.promises import record

FIRST_ROWS_MS = 1_000
FILTER_MS = 300
ROWS_DRAWN = 80
ROW = ".line[data-task]"
TYPED = """async ([text, task]) => {
  const field = document.querySelector(".filter input[type=search]");
  const began = performance.now();
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  return new Promise((done, failed) => {
    setTimeout(() => failed(new Error("the filter found nothing")), 8000);
    const look = () => {
      const row = document.querySelector(".line[data-task]");
      if (row && row.dataset.task === task) done(performance.now() - began);
      else requestAnimationFrame(look);
    };
    look();
  });
}"""


def looked(browser: Any, folder: Path, *, done: int, queued: int) -> tuple[float, float]:
    """Open the tasks of a home with so many, go to the end, filter; ms until the first rows and until the filter's."""
    with ended_boxes(folder, gpus="1x80GiB") as box:
        fill(box.home, done=done, queued=queued)
        assert box.run("up").code == 0
        with visits(browser, box) as visit:
            base = box.json("status")["engine"]["page"]
            visit.page.goto("about:blank")
            began = perf_counter()
            visit.page.goto(f"{base}/#/tasks")
            visit.page.wait_for_selector(ROW)
            first = (perf_counter() - began) * 1_000
            scroll_to_the_end(visit, done + queued)
            sought = [str(done // 2 + place) for place in range(5)]
            filtered = statistics.median(visit.page.evaluate(TYPED, [each, each]) for each in sought)
            visit.check_calm()
    return first, filtered


def scroll_to_the_end(visit: Visit, total: int) -> None:
    """The last row can be reached, and only rows in sight exist."""
    visit.page.locator(".virtual").evaluate("element => { element.scrollTop = element.scrollHeight; }")
    visit.page.locator(f".line[data-task='{1}']").wait_for()
    assert visit.page.locator(".line").count() < ROWS_DRAWN
    assert f"{total:,} tasks" in visit.page.locator(".head").inner_text()


def test_a_list_of_thousands_is_scrolled_and_filtered(browser: Any, tmp_path: Path) -> None:
    looked(browser, tmp_path, done=3_000, queued=200)


@pytest.mark.large
@pytest.mark.timeout(300)
def test_p18_a_hundred_thousand_tasks_in_the_page(browser: Any, tmp_path: Path) -> None:
    first, filtered = looked(browser, tmp_path, done=100_000, queued=10_000)
    assert first < FIRST_ROWS_MS
    assert filtered < FILTER_MS
    figure = f"in a browser the first of 110,000 rows after {first:.0f} ms, those of a filter after {filtered:.0f} ms"
    record("P18", figure, first_ms=round(first), filter_ms=round(filtered))

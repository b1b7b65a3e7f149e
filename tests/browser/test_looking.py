"""Each page with real data: it shows what is there, breaks no rule of accessibility, and nothing goes wrong in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import Visit, visits
from tests.support.command_line import Box

PAGES = {
    "now": (
        "#/now?span=5m",
        ".lane rect.bar",
        ["Devices over time", "Waiting", "never-yet", "Failed last", "breaks", "Capacity"],
    ),
    "tasks": ("#/tasks", ".line[data-task]", ["never-yet", "text", "folds"]),
    "sweep": ("#/runs/1", "table.grid tbody tr", ["digits", "accuracy", "0.4"]),
    "compare": ("#/runs/1?view=compare", "table.grid", ["Side by side", "depth=4 lr=0.001"]),
    "plots": ("#/runs/1?view=plots", "svg.parallel path", ["All cells"]),
    "runs": ("#/runs", "table.grid tbody tr", ["sweep", "bench", "generate", "tickets"]),
    "new": ("#/new", "textarea", ["Command", "GPUs", "At most at once"]),
    "spec": ("#/new?view=spec", "textarea", ["begin with"]),
    "devices": ("#/devices", ".device", ["GPU 0", "GPU-virtual-1", "free", "cpu", "Tokens and cost"]),
    "nowhere": ("#/nowhere", "main .empty", ["This address leads nowhere"]),
}
BY_NAME = {
    "scores": ("small", "", "table.heat", ["Scores", "a · knorm-50", "kept"]),
    "state": ("small", "?view=state", "table.heat", ["bug", "done"]),
    "pareto": ("small", "?view=pareto", "svg.chart .dot", ["share of the cache kept"]),
    "failed": ("small", "?view=failures", ".two-lines", ["bug"]),
    "trials": (
        "serving",
        "",
        "table.grid tbody tr:nth-child(2)",
        ["Best so far", "baseline", "Against the baseline", "--ttft"],
    ),
    "front": ("serving", "?view=front", "svg.chart .dot", ["As they came", "meets every limit"]),
    "load": ("serving", "?view=load", "svg.chart .limit-name", ["Under load", "requests in flight"]),
    "parameters": ("serving", "?view=all", "svg.parallel text.title", ["a line for each trial"]),
    "trial": ("serving", "/trial/1", "table.grid", ["Parameters", "Measured", "concurrency=2"]),
    "columns": ("tickets", "", "svg.dag", ["tokens out", "cost", "sampler"]),
    "rows": ("tickets", "?view=rows", "table.grid tbody tr", ["kept", "billing"]),
    "endpoints": (
        "tickets",
        "?view=endpoints",
        ".pool",
        ["Limits now", "answered: 6", "calls each 1 s", "at once, at most"],
    ),
}


@pytest.fixture(scope="module")
def looker(browser: Any, filled: Box) -> Iterator[Visit]:
    """One visit for all the pages of this file: going from one to the next is how they are used."""
    with visits(browser, filled) as opened:
        yield opened


def run_id(box: Box, name: str) -> int:
    (task, *_) = box.json("ls", f"@{name}")["tasks"]
    return int(task["run"]["id"])


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_what_is_there(looker: Visit, name: str) -> None:
    place, wait, texts = PAGES[name]
    looker.go(place, wait)
    for text in texts:
        looker.see(text)
    looker.check_axe()
    looker.check_calm()


@pytest.mark.parametrize("name", BY_NAME)
def test_a_run_of_each_kind_has_its_views(looker: Visit, name: str) -> None:
    run, view, wait, texts = BY_NAME[name]
    looker.go(f"#/runs/{run_id(looker.box, run)}{view}", wait)
    for text in texts:
        looker.see(text)
    looker.check_axe()
    looker.check_calm()


def test_a_run_that_found_all_there_is_promised_no_tasks(looker: Visit) -> None:
    looker.go("#/runs", "table.grid tbody tr")
    looker.see("no tasks")
    assert looker.page.get_by_text("no tasks yet").count() == 0


def test_a_task_has_its_request_attempts_results_and_output(looker: Visit) -> None:
    looker.go("#/tasks/1", ".log .row")
    for text in ("Asks for", "1 GPU", "Attempts", "Results", "accuracy", "Environment"):
        looker.see(text)
    green = looker.page.locator(".log .row .front-2")
    assert green.first.inner_text() == "green"
    looker.page.get_by_role("button", name="Show").click()
    looker.see("PASSLOOP_HOME")
    looker.check_axe()
    looker.check_calm()


def test_a_task_that_waits_says_why(looker: Visit) -> None:
    task = looker.box.json("ls", "state:held")["tasks"][0]["id"]
    looker.go(f"#/tasks/{task}", ".reason")
    looker.see("Why it does not run")
    looker.see("held")


def test_a_field_of_the_matrix_leads_to_its_cell_and_samples(looker: Visit) -> None:
    looker.go(f"#/runs/{run_id(looker.box, 'small')}", "table.heat")
    looker.page.locator("table.heat td button:enabled").first.click()
    looker.page.wait_for_selector(".turn.said")
    looker.see("Measured")
    looker.see("answered")
    assert re.search(r"/cell/[0-9a-f]{8,}", looker.page.url)
    looker.check_axe()
    looker.check_calm()


def test_a_row_of_a_dataset_shows_each_prompt_and_answer(looker: Visit) -> None:
    looker.go(f"#/runs/{run_id(looker.box, 'tickets')}/row/0", ".turn")
    looker.see("Write about")
    looker.see("tokens in")
    looker.check_axe()
    looker.check_calm()


def test_pages_are_dark_if_the_system_is_and_light_if_the_reader_says(browser: Any, filled: Box) -> None:
    with visits(browser, filled, color_scheme="dark") as visit:
        ground = "getComputedStyle(document.body).backgroundColor"
        assert visit.page.evaluate(ground) == "rgb(18, 21, 24)"
        for name in ("now", "tasks"):
            visit.go(*PAGES[name][:2])
            visit.check_axe()
        visit.go(f"#/runs/{run_id(filled, 'small')}", "table.heat")
        visit.check_axe()
        visit.page.get_by_role("button", name="Colours").click()
        assert visit.page.evaluate(ground) == "rgb(246, 245, 242)"
        visit.page.reload()
        visit.page.wait_for_selector("header.shell")
        assert visit.page.evaluate(ground) == "rgb(246, 245, 242)"
        visit.check_calm()


def test_what_is_still_read_breaks_no_rule_either(browser: Any, filled: Box) -> None:
    with visits(browser, filled) as visit:
        kept: list[Any] = []
        visit.page.route(re.compile("/api/v1/(?!events)"), lambda route: kept.append(route))
        for place in ("#/now", "#/runs/1", "#/devices", "#/tasks"):
            visit.go(place, ".loading")
            visit.check_axe()
        assert kept
        assert not visit.wrong


def test_a_phone_sees_every_page_without_scrolling_sideways(browser: Any, filled: Box) -> None:
    with visits(browser, filled) as visit:
        visit.page.set_viewport_size({"width": 390, "height": 780})
        for place, wait, _ in PAGES.values():
            visit.go(place, wait)
            wide = visit.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, place
        visit.check_calm()


def test_a_phone_reads_the_attempts_of_a_task_without_scrolling_sideways(browser: Any, filled: Box) -> None:
    with visits(browser, filled) as visit:
        visit.page.set_viewport_size({"width": 390, "height": 780})
        visit.go("#/tasks/1", ".log .row")
        table = visit.page.locator(".scroll[aria-label=Attempts]")
        assert table.evaluate("element => element.scrollWidth - element.clientWidth") <= 0
        heading = "cell => getComputedStyle(cell, '::before').content"
        assert table.locator("td").nth(2).evaluate(heading) == '"Started"'
        visit.check_axe()


def test_a_call_is_said_to_run_at_its_model(looker: Visit) -> None:
    looker.go(f"#/tasks?run={run_id(looker.box, 'tickets')}", ".line[data-task]")
    place = looker.page.locator(".line[data-task] [title$='/v1/m']").first
    place.wait_for()
    assert place.inner_text() == "m"


@pytest.mark.parametrize("place", ["#/tasks/0x1", "#/tasks/1e0", "#/tasks/-1", "#/tasks/one"])
def test_an_address_that_is_no_number_shows_no_task(looker: Visit, place: str) -> None:
    looker.go(place, ".failure")
    looker.see("that is no task")
    looker.check_calm()


def test_keys_lead_through_the_pages(visit: Visit, filled: Box) -> None:
    visit.go("#/now", ".panel")
    visit.page.keyboard.press("g")
    visit.page.keyboard.press("t")
    visit.page.wait_for_selector(".line[data-task]")
    visit.page.keyboard.press("j")
    visit.page.wait_for_selector(".line.cursor")
    visit.page.keyboard.press("Enter")
    visit.see("Asks for")
    visit.page.keyboard.press("?")
    visit.page.wait_for_selector("dialog[open]")
    visit.see("go to Tasks", within="dialog")
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_selector("dialog", state="detached")


def test_a_filter_stands_in_the_address(visit: Visit, filled: Box) -> None:
    visit.go("#/tasks", ".line[data-task]")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("breaks")
    visit.count(".line[data-task]", 1)
    assert "text=breaks" in visit.page.url
    visit.page.reload()
    visit.count(".line[data-task]", 1)
    visit.page.get_by_role("button", name="Clear").click()
    visit.page.locator(".line[data-task]").nth(5).wait_for()


def test_a_browser_that_is_not_signed_in_is_told_how(browser: Any, filled: Box) -> None:
    base = filled.json("status")["engine"]["page"]
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{base}/#/tasks")
    page.get_by_text("This browser is not signed in").wait_for()
    page.get_by_text("passloop ui").first.wait_for()
    context.close()

"""What happens is seen at once, and after the daemon was killed the page goes on by itself."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.browsing import Visit, visits
from tests.support.command_line import Box, Gate

SECOND = 1_000
HIDING = """
let hidden = true;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.turn = (away) => {
  hidden = away;
  document.dispatchEvent(new Event("visibilitychange"));
};
"""
GROWS = """() => new Promise((done) => {
  const bar = document.querySelector(".lane rect.bar-busy");
  const first = Number(bar.getAttribute("width"));
  const look = () => Number(bar.getAttribute("width")) > first && done(true);
  new MutationObserver(look).observe(bar, { attributes: true });
})"""


def test_a_change_is_seen_within_a_second(visit: Visit, home: Box) -> None:
    gate = Gate(home.folder, "seen")
    visit.go("#/now", ".panel")
    (task,) = home.submit("--name", "watch-me", "--", *gate.command())
    gate.wait_started()
    began = time.monotonic()
    visit.page.get_by_text("watch-me").first.wait_for(timeout=SECOND)
    visit.go(f"#/tasks/{task}", ".log .row")
    visit.page.locator(".head .tag", has_text="running").wait_for()
    began = time.monotonic()
    gate.open()
    visit.page.locator(".head .tag", has_text="succeeded").wait_for()
    home.run("wait", str(task))
    assert time.monotonic() - began < 2.5, "what a task writes and its end"


def test_output_is_followed_as_it_is_written(visit: Visit, home: Box) -> None:
    gate = Gate(home.folder, "follow")
    (task,) = home.submit("--", *gate.command("printf '\\033[31mred\\033[0m step 1\\rstep 2\\rstep 3\\n'; echo last"))
    gate.wait_started()
    visit.go(f"#/tasks/{task}", ".log .row")
    visit.see("here")
    gate.open()
    visit.see("last")
    visit.see("2 progress updates folded")
    assert visit.page.locator(".log .row").nth(1).inner_text().split("\n")[-1].strip() == "step 3"
    visit.page.get_by_role("searchbox", name="Look for").fill("LAST")
    visit.see("1 of 1")
    assert visit.page.locator(".log .row.hit").count() == 1


def front(tabs: list[Any], place: int) -> Any:
    """The tab at this place in front of the others: it alone is seen, and live."""
    seen = tabs[place]
    for tab in tabs:
        tab.evaluate("away => turn(away)", tab is not seen)
    seen.locator(".connection.live").wait_for()
    return seen


def test_seven_tabs_are_live_when_they_are_seen(visit: Visit, home: Box) -> None:
    """A browser keeps six connections to one address for all its tabs; the output of a task takes one more."""
    gate = Gate(home.folder, "tabs")
    (task,) = home.submit("--", *gate.command("echo last"))
    gate.wait_started()
    visit.context.add_init_script(HIDING)
    base, tabs = visit.page.url.partition("#")[0], []
    for place in (*[f"#/tasks/{task}"] * 5, *["#/now"] * 2):
        tabs.append(visit.context.new_page())
        tabs[-1].goto(base + place, timeout=10_000)
        front(tabs, -1)
    home.submit("--hold", "--name", "while-hidden", "--", "true")
    front(tabs, 5).get_by_text("while-hidden").first.wait_for()
    gate.open()
    home.run("wait", str(task))
    for place in (0, 4):
        front(tabs, place).locator(".log .row", has_text="last").wait_for()
        assert tabs[place].locator(".log .row").count() == 2, "each line once"


@pytest.mark.parametrize("grows", [False, True])
def test_a_log_that_its_task_emptied_is_whole_once_it_is_seen_again(visit: Visit, home: Box, *, grows: bool) -> None:
    first, second = Gate(home.folder, f"full-{grows}"), Gate(home.folder, f"emptied-{grows}")
    (task,) = home.submit("--", *first.command(f": > /dev/stdout; echo new; read x < '{second.go}'; echo newer"))
    first.wait_started()
    visit.context.add_init_script(HIDING)
    tab = visit.context.new_page()
    tab.goto(f"{visit.page.url.partition('#')[0]}#/tasks/{task}", timeout=10_000)
    front([tab], 0).locator(".log .row", has_text="here").wait_for()
    first.open()
    tab.locator(".log .row", has_text="new").wait_for()
    tab.evaluate("turn(true)")
    if grows:
        second.open()
        home.run("wait", str(task))
    front([tab], 0)
    if not grows:
        tab.locator(".panel", has_text="· follows").wait_for()
        second.open()
    tab.locator(".log .row", has_text="newer").wait_for(timeout=3_000)
    rows = tab.locator(".log .row > span:last-child").all_inner_texts()
    assert rows == ["new", "newer"], "all that the log has, once"


def test_the_page_goes_on_after_the_daemon_was_killed_and_started_again(browser: Any, lone: Box) -> None:
    gate = Gate(lone.folder, "over")
    (task,) = lone.submit("--name", "survivor", "--", *gate.command("echo after; exit 0"))
    gate.wait_started()
    with visits(browser, lone) as visit:
        visit.go(f"#/tasks/{task}", ".log .row")
        visit.page.locator(".connection.live").wait_for()
        lone.kill_engine()
        visit.page.locator(".connection.lost").wait_for()
        visit.see("survivor")
        assert lone.run("up").code == 0
        visit.page.locator(".connection.live").wait_for()
        gate.open()
        visit.page.locator(".head .tag", has_text="succeeded").wait_for()
        visit.see("after")
        assert visit.page.evaluate("window.seen") == []


def test_a_page_whose_store_was_replaced_loads_itself_anew(browser: Any, lone: Box) -> None:
    lone.submit("--name", "of-old", "--hold", "--", "true")
    with visits(browser, lone) as visit:
        visit.go("#/now", ".panel")
        visit.see("of-old")
        lone.run("down", "--leave")
        for file in (*lone.home.glob("*.sqlite*"), lone.home / "mark"):
            file.unlink()
        with visit.page.expect_event("load"):
            assert lone.run("up").code == 0
        visit.see("Nothing was submitted yet")


def test_a_page_whose_token_was_replaced_says_how_to_come_in(browser: Any, lone: Box) -> None:
    with visits(browser, lone) as visit:
        visit.go("#/now", ".panel")
        visit.page.locator(".connection.live").wait_for()
        lone.run("down", "--leave")
        (lone.home / "token").unlink()
        assert lone.run("up").code == 0
        visit.see("This browser is not signed in")
        address = lone.json("ui", "--no-open")["url"]
        visit.context.new_page().goto(address)
        visit.page.locator(".connection.live").wait_for()
        visit.page.locator(".panel", has_text="Capacity").wait_for()
        visit.wrong = []


def test_the_time_line_grows_while_something_runs(visit: Visit, home: Box) -> None:
    gate = Gate(home.folder, "line")
    (task,) = home.submit("-g", "1", "--name", "long", "--", *gate.command())
    gate.wait_started()
    visit.go("#/now?span=1m", ".lane rect.bar-busy")
    assert visit.page.evaluate(GROWS)
    visit.page.locator(".lane rect.bar-busy").first.hover(force=True)
    visit.see(f"{task} long", within=".hover")
    gate.open()
    home.run("wait", str(task))

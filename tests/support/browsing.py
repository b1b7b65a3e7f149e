"""A real browser on the page of a real engine: Debian's Chromium, watched for everything that should not happen."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .command_line import Box

__all__ = ["Visit", "chromium", "endpoint", "suffer", "visits"]

PATHS = ("/usr/bin/chromium", "/usr/bin/chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
AXE = Path(__file__).resolve().parents[1] / "browser" / "vendor" / "axe.min.js"
WATCH = """
window.seen = [];
addEventListener("securitypolicyviolation", (event) => {
  window.seen.push(`policy: ${event.violatedDirective} ${event.blockedURI}`);
});
window.alert = window.prompt = window.confirm = () => window.seen.push("a dialog opened");
window.pwned = () => window.seen.push("text was executed");
"""
SERIOUS = ("serious", "critical")


def chromium() -> str:
    """Where Chromium is. Skips the test with the reason where there is none; in CI there has to be one."""
    found = next((path for path in PATHS if Path(path).exists()), None) or shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI has no chromium: .ci/run installs it")
        pytest.skip("no chromium here; on Debian: apt-get install chromium")
    return found


class Visit:
    """One browser context on a box's page. What the console or the policy complained about is kept in `wrong`."""

    def __init__(self, box: Box, context: Any) -> None:
        self.box = box
        self.context = context
        self.wrong: list[str] = []
        context.add_init_script(WATCH)
        self.page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            place = message.location.get("url", "") if isinstance(message.location, dict) else ""
            self.wrong.append(f"{message.text} {place}")

    def sign_in(self) -> None:
        """Open the page by a one-time URL."""
        self.page.goto(self.box.json("ui")["url"])
        self.page.wait_for_selector("header.shell")

    def go(self, place: str, wait: str) -> None:
        """Go to a place of the page, `#/...`, until `wait` is there."""
        self.page.evaluate("place => { location.hash = place; }", place)
        self.page.wait_for_selector(wait)

    def see(self, text: str, *, within: str = "main") -> None:
        """Wait until a text is seen."""
        self.page.locator(within).get_by_text(text).filter(visible=True).first.wait_for()

    def count(self, selector: str, number: int) -> None:
        """Wait until so many elements are there. By a locator: the policy lets no script be made of text."""
        self.page.locator(selector).nth(number).wait_for(state="detached")
        if number:
            self.page.locator(selector).nth(number - 1).wait_for(state="attached")

    def check_axe(self) -> None:
        """No serious violation of the rules of accessibility."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        bad = [
            f"{one['id']}: {node['html'][:200]} {node.get('failureSummary', '')[:200]}"
            for one in found["violations"]
            if one["impact"] in SERIOUS
            for node in one["nodes"][:3]
        ]
        assert not bad, "\n".join(bad)

    def check_calm(self) -> None:
        """Nothing went wrong: no error, nothing that the policy refused, nothing executed."""
        assert self.page.evaluate("window.seen") == []
        assert not self.wrong, self.wrong


@contextlib.contextmanager
def visits(browser: Any, box: Box, **options: Any) -> Iterator[Visit]:
    """A visit in a context of its own, signed in."""
    context = browser.new_context(viewport={"width": 1360, "height": 850}, **options)
    try:
        visit = Visit(box, context)
        visit.sign_in()
        yield visit
    finally:
        context.close()


@contextlib.contextmanager
def endpoint(*options: str) -> Iterator[str]:
    """The URL of an endpoint of its own process, which ends with the block."""
    words = [sys.executable, "-m", "passloop.testing.endpoint", *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def suffer(box: Box, **devices: object) -> None:
    """From now on exactly this is wrong with the box's virtual GPUs (named with underscores). First before `up`."""
    file = box.folder / "suffering.json"
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps({name.replace("_", "-"): what for name, what in devices.items()}), encoding="utf-8")
    draft.replace(file)
    box.environment["PASSLOOP_VIRTUAL_FOREIGN"] = str(file)

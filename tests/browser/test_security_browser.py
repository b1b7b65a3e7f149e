"""In a real browser: hostile text stays text in every field that a user controls, and another site changes nothing."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.browsing import Visit
from tests.support.command_line import Box

HOSTILE = "<img src=x onerror=pwned()><script>pwned()</script>'\"javascript:pwned()${pwned()}"
SCRIPT = """
import os, sys
print(sys.argv[1])
print(sys.argv[1], file=sys.stderr)
results = '{"<b onclick=pwned()>": "<script>pwned()</script>"}'
open(os.environ["PASSLOOP_OUT"] + "/metrics.json", "w").write(results)
sys.exit(3)
"""
OTHER = """<!doctype html><title>another site</title>
<form method="post" enctype="text/plain" action="BASE/api/v1/tasks/cancel">
<input name='{"select":["1-1000"],"x":"' value='"}'></form>"""
REQUESTS = """async ([base, place]) => {
  const asks = [
    ["POST", "/tasks/cancel", '{"select":["1-1000"]}'],
    ["POST", "/commands", `{"words":["touch","${place}"],"options":{}}`],
    ["POST", "/down", '{"mode":"now"}'],
    ["GET", "/tasks", null],
    ["GET", "/events", null],
  ];
  const told = [];
  for (const [method, path, body] of asks) {
    for (const type of ["text/plain", "application/json"]) {
      const headers = body ? {"Content-Type": type} : {};
      try {
        told.push((await fetch(base + "/api/v1" + path, {method, body, headers, credentials: "include"})).status);
      } catch { told.push("refused"); }
    }
  }
  return told;
}"""
FRAMED = """(base) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = () => done(true);
  frame.src = base;
  document.body.append(frame);
})"""


@pytest.fixture
def other_site(home: Box) -> Iterator[str]:
    """Another origin on the same machine, which serves one page."""
    base = home.json("status")["engine"]["page"]
    body = OTHER.replace("BASE", base).encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()
        thread.join(10)


def test_hostile_text_stays_text_everywhere(visit: Visit, home: Box) -> None:
    (home.folder / "hostile.py").write_text(SCRIPT)
    said = ["--name", HOSTILE, "--key", HOSTILE, "--group", "<b>g</b>", "--env", f"HOSTILE={HOSTILE}"]
    (task,) = home.submit(*said, "--", "{python}", "hostile.py", HOSTILE)
    home.run("wait", str(task))
    run = home.task(task)["run"]["id"]
    places = [
        ("#/now", ".two-lines"),
        ("#/tasks", ".line[data-task]"),
        ("#/tasks?text=%3Cimg%20src", ".line[data-task]"),
        ("#/runs", "table.grid"),
        (f"#/runs/{run}", "table.grid tbody tr"),
        (f"#/tasks/{task}", ".log .row"),
    ]
    for place, wait in places:
        visit.go(place, wait)
        visit.see("<img src=x")
        assert visit.page.locator("main img, main script, main b[onclick]").count() == 0
        visit.check_calm()
    visit.see("<b onclick=pwned()>")
    visit.page.get_by_role("button", name="stderr").click()
    visit.see("<img src=x", within=".log")
    visit.page.get_by_role("button", name="Show").click()
    visit.page.get_by_text(f"{HOSTILE}").first.wait_for()


def test_hostile_text_in_specs_and_plans_stays_text(visit: Visit) -> None:
    visit.go("#/new?view=spec", "textarea")
    visit.page.fill("textarea[name=spec]", "run: x\n<script>pwned()</script>: [1]\n")
    visit.see("To be mended")
    visit.go("#/new", "textarea[name=command]")
    visit.page.fill("textarea[name=command]", "'<script>pwned()</script>' \"<img src=x onerror=pwned()>\"")
    visit.see("Each asks for")
    visit.go(f"#/runs/{'%3Cscript%3Epwned()%3C%2Fscript%3E'}", ".failure")
    visit.wrong = [line for line in visit.wrong if "404" not in line and "400" not in line]


def test_another_site_changes_nothing_with_the_readers_cookie(visit: Visit, home: Box, other_site: str) -> None:
    (task,) = home.submit("--name", "victim", "--hold", "--", "true")
    base = home.json("status")["engine"]["page"]
    pid = home.engine_pid()
    page = visit.context.new_page()
    page.goto(other_site)
    told = page.evaluate(REQUESTS, [base, str(home.folder / "touched")])
    assert set(told) <= {"refused", 403}
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert "cross" in page.content().lower() or "not_allowed" in page.content() or "origin" in page.content().lower()
    assert home.task(task)["state"] == "held"
    assert home.engine_pid() == pid
    assert not (home.folder / "touched").exists()
    page.close()


def test_the_page_cannot_be_framed_by_another_site(visit: Visit, home: Box, other_site: str) -> None:
    base = home.json("status")["engine"]["page"]
    page = visit.context.new_page()
    page.goto(other_site)
    assert page.evaluate(FRAMED, base)
    inner: list[Any] = [frame for frame in page.frames if frame.url.startswith(base)]
    assert all(frame.locator("header.shell").count() == 0 for frame in inner)
    page.close()

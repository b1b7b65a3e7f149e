"""The page of a real daemon: how it is opened, who listens, that its address survives, what it serves."""

from __future__ import annotations

import http.client
import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from passloop.cli.client import Client
from tests.support.command_line import Box, ended_boxes

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "page.md"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with ended_boxes(tmp_path_factory.mktemp("door")) as made:
        made.environment |= {"DISPLAY": "", "WAYLAND_DISPLAY": "", "SSH_CONNECTION": ""}
        yield made


class Browser:
    """A browser without a screen: it keeps a cookie, and says what a browser says."""

    def __init__(self, base: str) -> None:
        self.base = urlsplit(base)
        self.cookie = ""

    def get(self, path: str, **fields: str) -> tuple[int, dict[str, str], bytes]:
        """One request; a cookie that is set is kept."""
        connection = http.client.HTTPConnection(str(self.base.hostname), self.base.port or 0, timeout=30)
        said = {"Sec-Fetch-Site": "same-origin", **fields, **({"Cookie": self.cookie} if self.cookie else {})}
        connection.request("GET", path, headers=said)
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        found = {name.lower(): value for name, value in reply.getheaders()}
        if "set-cookie" in found:
            self.cookie = found["set-cookie"].partition(";")[0]
        return reply.status, found, data


def opened(box: Box) -> Browser:
    """A browser that was let in by `passloop ui`."""
    url = box.json("ui", "--no-open")["url"]
    parts = urlsplit(url)
    browser = Browser(f"{parts.scheme}://{parts.netloc}")
    assert browser.get(parts.path)[0] == 200
    return browser


def engine_of(box: Box) -> Any:
    return box.json("status")["engine"]


def test_ui_starts_the_daemon_and_prints_an_address_that_lets_a_browser_in(box: Box) -> None:
    said = box.run("ui")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(engine_of(box)["page"] + "/open/")
    browser = opened(box)
    assert browser.cookie
    assert json.loads(browser.get("/api/v1/now")[2])["engine"]["state"] == "running"


def test_ui_over_ssh_says_how_to_carry_the_port(box: Box) -> None:
    said = box.run("ui", SSH_CONNECTION="10.0.0.1 5 10.0.0.2 22", DISPLAY=":0")
    port = urlsplit(engine_of(box)["page"]).port
    assert f"ssh -L {port}:127.0.0.1:{port}" in said.err


def test_the_address_is_in_no_command_line_when_a_browser_is_started(box: Box) -> None:
    """Every user of the machine can read a command line, and whoever is first is let in."""
    words, file, browser = box.folder / "words", box.home / "open.html", box.folder / "browser"
    browser.write_text(f"#!/bin/sh\necho \"$@\" > '{words}'\n")
    browser.chmod(0o700)
    said = box.run("ui", DISPLAY=":0", BROWSER=str(browser))
    assert (said.code, "open the address yourself" in said.err) == (0, True)
    assert words.read_text() == f"{file.as_uri()}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().count(said.out.strip()) == 2


def test_the_guide_makes_the_token_no_word_of_a_command(box: Box) -> None:
    box.run("up")
    lines = GUIDE.read_text().partition("```sh\n")[2].partition("```")[0]
    curl, token = box.folder / "curl", (box.home / "token").read_text().strip()
    curl.write_text('#!/bin/sh\necho "words: $@"\necho "reads: $(cat)"\n')
    curl.chmod(0o700)
    lines = lines.replace("~/.local/state/passloop", str(box.home)).replace("curl ", f"'{curl}' ")
    said = subprocess.run(["sh", "-c", lines], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    told = said.stdout.splitlines()
    assert f"reads: Authorization: Bearer {token}" in told
    assert [line for line in told if line.startswith("words:") and token in line] == []


def test_a_daemon_listens_on_loopback_only(box: Box) -> None:
    box.run("up")
    process = psutil.Process(engine_of(box)["pid"])
    listening = [link.laddr.ip for link in process.net_connections("inet") if link.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_an_open_page_finds_the_next_engine_at_the_same_address_with_the_same_cookie(box: Box) -> None:
    box.run("up")
    browser = opened(box)
    seq = json.loads(browser.get("/api/v1/now")[2])["seq"]
    box.kill_engine()
    box.submit("--hold", "--", "true")
    status, _, data = browser.get("/api/v1/now")
    assert status == 200
    assert json.loads(data)["seq"] > seq
    assert json.loads(data)["counts"] == {"held": 1}


def test_the_page_and_its_files_are_served_and_cached_by_their_digest(box: Box) -> None:
    box.run("up")
    browser = Browser(engine_of(box)["page"])
    status, fields, page = browser.get("/")
    assert (status, fields["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<script" in page
    assert browser.get("/", **{"If-None-Match": fields["etag"]})[0] == 304
    names = [part.split(b'"')[0].decode() for part in page.split(b'"/static/')[1:]]
    assert names
    version = names[0].partition("/")[0]
    assert all(name.startswith(f"{version}/") for name in names)
    for name in names:
        status, fields, _ = browser.get(f"/static/{name}")
        assert (status, fields["cache-control"]) == (200, "max-age=31536000, immutable"), name
    for name in (names[0].partition("/")[2], f"@another/{names[0].partition('/')[2]}"):
        status, fields, _ = browser.get(f"/static/{name}")
        assert (status, fields["cache-control"]) == (200, "no-cache"), "not what the document named"
    for name in (
        f"{version}/../keys.py",
        "@/",
        "../keys.py",
        "%2e%2e/keys.py",
        "..%2fkeys.py",
        "/etc/passwd",
        "nothing.js",
        "",
    ):
        status, _, data = browser.get(f"/static/{name}")
        assert status in (401, 404), name
        assert b"root:" not in data
        assert b"hmac" not in data


def test_a_page_that_is_off_or_cannot_be_had_is_said_to_be_so(tmp_path: Path) -> None:
    with ended_boxes(tmp_path) as other:
        other.environment["PASSLOOP_PAGE"] = "off"
        assert other.run("up").code == 0
        engine = engine_of(other)
        assert (engine["page"], engine["page_absent"]) == (None, "the setting `page` is off")
        said = other.run("ui")
        assert (said.code, "the setting `page` is off" in said.err) == (3, True)
        assert not (other.home / "token").exists()


def test_a_port_that_is_none_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with ended_boxes(tmp_path) as other:
        said = other.run("up", PASSLOOP_PAGE="eighty")
        assert (said.code, "write auto, off, or a number" in said.err) == (2, True)


def test_metrics_and_health_are_there_for_whoever_has_the_token(box: Box) -> None:
    box.run("up")
    browser = opened(box)
    status, fields, data = browser.get("/metrics")
    assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    text = data.decode()
    assert 'passloop_up{state="running"} 1' in text
    assert 'passloop_gpu_state{uuid="GPU-virtual-0",state="available"} 1' in text
    assert 'passloop_tasks{state="ready"} 0' in text
    told = [line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(told) == len(set(told))
    assert json.loads(browser.get("/healthz")[2]) == {"status": "running"}
    assert Browser(engine_of(box)["page"]).get("/metrics")[0] == 401
    assert Client(str(box.home)).get("/status")["engine"]["page"]

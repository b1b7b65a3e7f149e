"""Secrets that were planted are looked for in everything passloop writes and says.

One is in the submitter's environment under a name that looks secret: it must be nowhere. One was given to a task by
name (`--env`): it reaches the task, is kept once with the task's own words, and is told nobody.
"""

from __future__ import annotations

import base64
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from passloop.cli.client import Client
from tests.support.command_line import Box, Said, ended_boxes

NEVER = "canary-5f0c9e-never"
GIVEN = "canary-83a1d7-given"
PLANTED = {"OPENAI_API_KEY": NEVER, "HF_TOKEN": NEVER, "DBPASSWORD": NEVER, "AWS_SECRET_ACCESS_KEY": NEVER}
SAYS = [
    ["logs", "1"],
    *(["ls"], ["ls", "--json"], ["show", "1"], ["show", "1", "--json"], ["why", "2", "--json"]),
    *(["report", "1", "-o", "page.html"], ["export", "1", "--format", "csv"], ["export", "1", "--format", "jsonl"]),
    *(["status", "--json"], ["config", "--json"], ["doctor", "--json"], ["pools", "--json"]),
]
ROUTES = [
    *("/status", "/tasks", "/tasks/1", "/tasks/2/why", "/runs", "/runs/1", "/pools", "/gpus", "/openapi.json"),
    *("/now", "/table", "/table?text=canary", "/groups", "/timeline", "/journal?limit=500", "/journal?task=1"),
    *("/tasks/1/environment", "/tasks/2/environment", "/tasks/1/curves", "/tasks/1/files", "/runs/1/sweep"),
]
KEPT_IN = {"payloads"}


class Seen(NamedTuple):
    """A home after its engine has gone down, and what was said and answered while it was up."""

    box: Box
    said: dict[str, Said]
    answered: dict[str, str]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """A task that says how long its secret is, one that is held, and every verb and route asked about them."""
    with ended_boxes(tmp_path_factory.mktemp("canaries")) as box:
        box.environment |= PLANTED | {"GIVEN_TOKEN": GIVEN}
        check = 'test -z "$HF_TOKEN$OPENAI_API_KEY$DBPASSWORD$AWS_SECRET_ACCESS_KEY" && echo ${#GIVEN_TOKEN}'
        box.submit("--env", "GIVEN_TOKEN", "--", "sh", "-c", check)
        box.submit("--env", f"GIVEN_TOKEN={GIVEN}", "--hold", "--", "true")
        assert box.run("wait", "1").code == 0
        said = {" ".join(words): box.run(*words) for words in SAYS}
        client = Client(str(box.home))
        answered = {route: str(client.get(route, timeout=20)) for route in ROUTES}
        assert box.run("down").code == 0
        yield Seen(box, said, answered)


def forms(secret: str) -> list[bytes]:
    """A secret as it is, and as base64 and hex would show it."""
    plain = secret.encode()
    return [plain, base64.b64encode(plain)[:-4], plain.hex().encode()]


def holders(folder: Path, secret: str) -> set[str]:
    """Names of the files below a folder that hold it in any form."""
    found = set()
    for path in folder.rglob("*"):
        if path.is_file() and any(form in path.read_bytes() for form in forms(secret)):
            found.add(path.relative_to(folder).as_posix())
    return found


def tables_with(home: Path, secret: str) -> set[str]:
    """The tables of the store of which some row holds it."""
    connection = sqlite3.connect(f"file:{home / 'store.sqlite'}?mode=ro", uri=True)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in names}
    finally:
        connection.close()
    return {name for name, found in rows.items() if any(secret in str(value) for row in found for value in row)}


def test_a_task_is_given_what_was_named_and_nothing_else_that_is_secret(seen: Seen) -> None:
    assert seen.said["logs 1"].out == f"{len(GIVEN)}\n"
    assert "GIVEN_TOKEN" in seen.said["show 1 --json"].out


@pytest.mark.parametrize("secret", [NEVER, GIVEN], ids=["never", "given"])
def test_a_secret_is_told_nobody(seen: Seen, secret: str) -> None:
    assert {one.code for one in seen.said.values()} <= {0, 1}, seen.said
    assert [words for words, one in seen.said.items() if secret in one.out + one.err] == []
    assert [route for route, text in seen.answered.items() if secret in text] == []


def test_a_secret_that_was_not_named_is_nowhere(seen: Seen) -> None:
    assert holders(seen.box.folder, NEVER) == set()
    assert tables_with(seen.box.home, NEVER) == set()


def test_a_secret_that_was_named_is_kept_once_and_for_its_user_alone(seen: Seen) -> None:
    assert tables_with(seen.box.home, GIVEN) == KEPT_IN
    held = holders(seen.box.folder, GIVEN)
    assert {Path(name).name for name in held} == {"store.sqlite", "backup.sqlite"}
    assert {stat.S_IMODE((seen.box.folder / name).stat().st_mode) for name in held} == {0o600}

"""Commands that an engine runs for the page: what is kept of them beside it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from passloop.web.own_commands import UNREACHABLE, OwnCommands, _forget
from tests.support.engines import rig


async def test_two_specs_of_one_name_that_are_handed_in_at_once_are_two_files(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        commands = OwnCommands(one.engine)
        paths = [commands.keep(text, "digits/1") for text in ("first", "second")]
    assert [path.read_text() for path in paths] == ["first", "second"]
    assert paths[0].stat().st_mode & 0o777 == 0o600


async def test_what_an_engine_starts_beside_itself_ends_with_it(tmp_path: Path) -> None:
    """The next engine starts it again; that it ends so is shown where followers go on with the next engine."""
    async with rig(tmp_path) as one:
        assert "--one-engine" in OwnCommands(one.engine)._words(["bench", "-"])


@pytest.mark.parametrize(
    ("code", "is_kept"),
    [(0, False), (1, False), (UNREACHABLE, True), (-signal.SIGKILL, True), (-signal.SIGTERM, False)],
)
async def test_a_follower_that_did_not_come_to_its_own_end_is_started_again(
    tmp_path: Path, code: int, is_kept: bool
) -> None:
    async def ended() -> int:
        return code

    note = tmp_path / "1-digits.follow"
    note.touch()
    task = asyncio.create_task(ended())
    await task
    _forget(note, task)
    assert note.exists() is is_kept

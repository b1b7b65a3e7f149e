"""`passloop top`: the screen shows a real engine's work, follows it, acts on it, and finds the next engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.widgets import DataTable, Static

from passloop.cli.top_app import Top
from passloop.cli.top_rows import ACROSS, strip
from tests.support.command_line import Box, Gate


def cells(screen: Top, name: str) -> list[list[str]]:
    table: DataTable[object] = screen.query_one(f"#{name}", DataTable)
    return [[str(cell) for cell in table.get_row(key)] for key in table.rows]


class Eyes:
    """Waits until a screen shows something: it looks whenever the screen was drawn."""

    def __init__(self, screen: Top) -> None:
        self._screen = screen
        self._drawn = asyncio.Event()
        draw = screen._show
        tell = screen._told

        def shown(*documents: object) -> None:
            draw(*documents)  # type: ignore[arg-type]
            self._drawn.set()

        def told(text: str) -> bool:
            found = tell(text)
            screen.call_from_thread(self._drawn.set)
            return found

        screen._show = shown  # type: ignore[method-assign]
        screen._told = told  # type: ignore[method-assign]

    async def until(self, condition: Callable[[Top], object]) -> None:
        async with asyncio.timeout(30):
            while not condition(self._screen):
                self._drawn.clear()
                await self._drawn.wait()


async def run(box: Box, *words: str) -> int:
    return (await asyncio.to_thread(box.run, *words)).code


@pytest.mark.timeout(120)
async def test_the_screen_shows_follows_and_acts(box: Box) -> None:
    gate = Gate(box.folder)
    assert await run(box, "up") == 0
    assert await run(box, "submit", "-g", "2", "--name", "big[bold]", "--", *gate.command()) == 0
    assert await run(box, "submit", "-g", "1", "--name", "small", "--", "true") == 0
    await asyncio.to_thread(gate.wait_started)
    screen = Top(str(box.home))
    eyes = Eyes(screen)
    async with screen.run_test(size=(160, 50)) as pilot:
        await eyes.until(lambda top: cells(top, "running") and cells(top, "waiting"))
        assert cells(screen, "running")[0][:3] == ["1", "big[bold]", "running"]
        (waiting,) = cells(screen, "waiting")
        assert waiting[1] == "small"
        assert "held by task 1" in waiting[4]
        assert [row[1] for row in cells(screen, "gpus")[:2]] == ["task 1", "task 1"]
        assert "1 running" in str(screen.query_one("#head", Static).render())

        screen.query_one("#waiting", DataTable).focus()
        await pilot.press("h")
        await eyes.until(lambda top: cells(top, "waiting")[0][2] == "held")
        await pilot.press("c")
        await pilot.press("c")
        await eyes.until(lambda top: not cells(top, "waiting"))

        await asyncio.to_thread(gate.open)
        await eyes.until(lambda top: not cells(top, "running"))

        assert await run(box, "down", "--now") == 0
        await eyes.until(lambda top: "no engine" in str(top.query_one("#head", Static).render()))
        assert await run(box, "up") == 0
        await eyes.until(lambda top: "running" in str(top.query_one("#head", Static).render()))


async def test_what_comes_while_the_screen_is_left_is_passed_over(box: Box) -> None:
    assert await run(box, "up") == 0
    screen = Top(str(box.home))
    eyes = Eyes(screen)
    async with screen.run_test() as pilot:
        await eyes.until(lambda top: "running" in str(top.query_one("#head", Static).render()))
        await screen.query_one("#gpus", DataTable).remove()
        now = {"gpus": [], "counts": {}}
        assert not await asyncio.to_thread(screen._given, now, {"lanes": [], "from": 0, "to": 1})
        await pilot.press("q")


def test_without_a_terminal_or_an_engine_it_says_so(box: Box) -> None:
    said = box.run("top")
    assert (said.code, "wants a terminal" in said.err) == (2, True)
    with box.on_terminal("top") as shown:
        assert "no engine is running" in shown.rest()


def test_without_textual_one_sentence_says_how_to_get_it(box: Box, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "textual"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('none', name='textual')")
    said = box.run("top", PYTHONPATH=str(hidden.parent))
    assert (said.code, "pip install 'passloop[top]'" in said.err) == (2, True)


def test_a_strip_says_what_ran_and_why_nothing_did() -> None:
    lane = {
        "bars": [{"start": 0, "end": 299, "bad": 0}, {"start": 300, "end": 399, "bad": 1}],
        "gaps": [{"start": 400, "end": 599, "reason": "blocked"}, {"start": -50, "end": -10, "reason": "idle"}],
    }
    drawn = strip(lane, 0, 600)
    assert len(drawn) == ACROSS
    assert drawn == "█" * 30 + "▓" * 10 + "▒" * 20

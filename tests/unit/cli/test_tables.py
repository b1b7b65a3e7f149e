"""Tables fit the screen, align what is wide, and let nothing play tricks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from passloop.cli import streams
from passloop.cli.tables import Column, cell_width, fitted, table

COLUMNS = (Column("ID", right=True), Column("NAME", shrinks=True), Column("STATE"))


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    streams.set_colour("never")
    yield
    streams.set_colour("")


def test_columns_are_as_wide_as_their_text() -> None:
    lines = table(COLUMNS, [["1", "a", "ready"], ["12", "bcd", "held"]], width=None)
    assert lines == ["ID  NAME  STATE", " 1  a     ready", "12  bcd   held"]


def test_wide_column_is_cut_to_the_screen() -> None:
    lines = table(COLUMNS, [["1", "x" * 50, "ready"]], width=40)
    assert max(map(cell_width, lines)) == 40
    assert "x~" in lines[1]
    assert lines[1].endswith("ready")


def test_a_screen_too_narrow_cuts_no_more_than_it_may() -> None:
    (_, line) = table(COLUMNS, [["1", "x" * 50, "ready"]], width=5)
    assert "xxxxx~" in line


def test_a_screen_too_narrow_for_all_columns_leaves_out_what_can_be_spared() -> None:
    columns = (*COLUMNS, Column("GROUP", shrinks=True, spare=2), Column("TRY", right=True, spare=1))
    row = ["1", "x" * 50, "ready", "default", "3"]
    wide, less, least = (table(columns, [row], width=width, colours=[["red"] * 5]) for width in (35, 28, 21))
    assert wide[0].split() == ["ID", "NAME", "STATE", "GROUP", "TRY"]
    assert (less[0].split(), less[1].split()[-1]) == (["ID", "NAME", "STATE", "TRY"], "3")
    assert least[0].split() == ["ID", "NAME", "STATE"]
    assert [max(map(cell_width, lines)) for lines in (wide, less, least)] == [35, 28, 21]


def test_a_crowded_table_has_no_room_for_an_empty_column() -> None:
    columns = (*COLUMNS, Column("HELD BY", shrinks=True))
    row = ["1", "x" * 20, "ready", ""]
    assert "HELD BY" in table(columns, [row], width=60)[0]
    assert table(columns, [row], width=31) == ["ID  NAME" + " " * 18 + "STATE", f" 1  {'x' * 20}  ready"]
    assert "HELD" in table(columns, [], width=10)[0]


def test_a_last_column_that_wraps_goes_on_below() -> None:
    columns = (Column("ID"), Column("ABOUT", shrinks=True, wraps=True))
    assert table(columns, [["1", "what it is for"], ["2", "short"]], width=14) == [
        "ID  ABOUT",
        "1   what it is",
        "    for",
        "2   short",
    ]


def test_wide_and_combining_characters_count_as_they_show() -> None:
    assert cell_width("日本") == 4
    assert cell_width("e\u0301") == 1
    assert fitted("日本語", 5) == "日本~"


def test_control_and_direction_codes_do_not_reach_the_screen() -> None:
    (_, line) = table(COLUMNS, [["1", "a\x1b[31m\u202eb\nc", "ready"]], width=None)
    assert "\x1b" not in line
    assert "\u202e" not in line
    assert line.count("\n") == 0


def test_colours_do_not_change_widths() -> None:
    streams.set_colour("always")
    rows = [["1", "a", "ready"], ["2", "b", "held"]]
    painted = table(COLUMNS, rows, width=None, colours=[["", "", "blue"], ["", "", "red"]])
    assert painted[1] == " 1  a     \x1b[34mready\x1b[0m"
    assert painted[2] == " 2  b     \x1b[31mheld\x1b[0m"


def test_a_name_that_is_cut_keeps_its_index() -> None:
    assert fitted("evaluate-llama[12]", 10) == "evalu~[12]"
    assert fitted("evaluate[12]", 6) == "evalu~"
    assert fitted("evaluate[12]", 12) == "evaluate[12]"

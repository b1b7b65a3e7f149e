"""What is said of whoever else is on a GPU: a process by its pid, another home by its name, for it is no process."""

from __future__ import annotations

import pytest

from passloop.cli.top_rows import _gpu_state
from passloop.cli.verbs.gpus import _use
from passloop.kernel.events import Foreign

PROCESS = {"pid": 4_242, "user": "ann", "name": "train", "vram_mib": 2_048}
HOME = {"pid": 0, "user": "ann", "name": "passloop home 1f2e3d4c", "vram_mib": 0}


@pytest.mark.parametrize(
    ("one", "note"),
    [
        (PROCESS, "pid 4242 (ann train) uses 2.0 GiB"),
        (PROCESS | {"user": None, "name": "train"}, "pid 4242 (train) uses 2.0 GiB"),
        (HOME, "passloop home 1f2e3d4c (ann) has it"),
        (HOME | {"user": ""}, "passloop home 1f2e3d4c has it"),
    ],
)
def test_the_table_of_gpus_notes_who_else_is_there(one: dict[str, object], note: str) -> None:
    assert _use(one) == note


@pytest.mark.parametrize(("one", "state"), [(PROCESS, "used by pid 4242"), (HOME, "used by passloop home 1f2e3d4c")])
def test_top_says_who_else_is_there(one: dict[str, object], state: str) -> None:
    assert _gpu_state({"holders": [], "reserved_for": None, "foreign": [one], "state": "vetoed"}) == state


def test_a_reason_names_who_else_is_there() -> None:
    assert Foreign(4_242, "ann", "train").who == "pid 4242 (ann)"
    assert Foreign(0, "ann", "passloop home 1f2e3d4c").who == "passloop home 1f2e3d4c (ann)"

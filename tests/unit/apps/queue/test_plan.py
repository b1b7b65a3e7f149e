"""A plan says what a sweep would do, and asks the kernel what can never fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.plan import Box, Plan, box_of_views, plan_of
from passloop.apps.queue.schema import SCHEMAS, schema_of

from .places import sweep

TEXT = 'run: digits\ncommand: [train, "{depth}"]\nmatrix: {depth: [1, 2, 3]}\nexclude: [{depth: 3}]\n'


def planned(text: str = TEXT, **known: Any) -> Plan:
    return plan_of(sweep(text), **known)


def a_box(gpus: int = 1, vram: int = 1_000, cpus: int = 8_000) -> Box:
    devices = [{"uuid": f"GPU-{n}", "index": n, "name": "H", "vram_mib": vram} for n in range(gpus)]
    return box_of_views(devices, [{"name": "cpu", "kind": "amount", "capacity": cpus}])


def test_cells_are_counted_and_the_first_commands_shown() -> None:
    plan = planned(first=1)
    assert (plan.points, plan.cells, plan.to_run) == (3, 2, 2)
    assert "run digits: 2 cells (1 left out)" in plan.as_text()
    assert "0: train 1" in plan.as_text()
    assert "... and 1 more" in plan.as_text()
    assert [cell["command"] for cell in plan.as_json()["first"]] == [["train", "1"]]
    json.dumps(plan.as_json())


def test_what_is_done_or_under_way_is_not_run_again() -> None:
    keys = [cell.key for cell in sweep(TEXT).cells()]
    states = {keys[0]: "succeeded", keys[1]: "running"}
    plan = planned(states=lambda asked: {key: states[key] for key in asked})
    assert (plan.done, plan.live, plan.to_run) == (1, 1, 0)
    assert planned(states=lambda asked: {asked[0]: "failed"}).to_run == 2


def test_only_what_is_to_run_is_estimated() -> None:
    text = TEXT + "resources: {gpus: 2}\ntime_limit: 1h\n"
    assert planned(text, states=lambda asked: {asked[0]: "succeeded"}).gpu_hours == 2.0


def test_the_estimate_is_learned_or_the_limit_or_unknown() -> None:
    resources = "resources: {gpus: 2, cpus: 4}\ntime_limit: 1h\n"
    assert planned().gpu_hours is None
    limited = planned(TEXT + resources)
    assert (limited.gpu_hours, limited.cpu_hours) == (4.0, 8.0)
    assert "time limit" in limited.as_text()
    learned = planned(TEXT + resources, learned={"train": 1_800_000})
    assert (learned.gpu_hours, learned.each_ms) == (2.0, 1_800_000)


def test_what_an_estimate_rests_on_is_named_by_the_words_of_the_command() -> None:
    basis = planned(learned={"queue train": 1_000}).basis
    assert "train took so far" in basis.replace("`", "").replace("'", "")
    assert "queue" not in basis


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ("{gpus: 2}", "asks 2 whole GPUs"),
        ("{gpus: 0.5, vram: 8GiB}", "8 GiB"),
        ("{cpus: 16}", "asks 16 CPUs, there are 8"),
        ("{need: {licence: 1}}", "licence"),
    ],
)
def test_what_never_fits_is_said_with_the_numbers(resources: str, words: str) -> None:
    plan = planned(TEXT + f"resources: {resources}\n", box=a_box())
    assert words in str(plan.impossible)
    assert "never fits here: asks " in plan.as_text()


def test_what_fits_in_one_form_fits() -> None:
    assert planned(TEXT + "resources: {gpus: 2, or: [{gpus: 0, cpus: 1}]}\n", box=a_box()).impossible is None


def test_a_likely_slip_is_a_warning() -> None:
    text = 'run: x\ncommand: [a, "{dpeth}", "{json}"]\nmatrix: {depth: [1]}\nwhen: depth < 2\nseeds: 2\n'
    warnings = planned(text).warnings
    assert len(warnings) == 2
    assert "nowhere in the command" in warnings[0]
    assert "did you mean `depth`?" in warnings[1]


def test_a_command_with_control_characters_is_shown_without_them() -> None:
    plan = planned('run: x\ncommand: [a, "\\e[31m\\u202e"]\n')
    assert "\x1b" not in plan.as_text()
    assert "\u202e" not in plan.as_text()


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_schema_is_json_and_names_its_dialect(kind: str) -> None:
    schema = json.loads(json.dumps(schema_of(kind)))
    assert schema["$schema"].startswith("https://json-schema.org/")


def test_the_schema_of_a_sweep_names_every_key() -> None:
    properties = schema_of("run")["properties"]
    assert {"run", "command", "matrix", "zip", "exclude", "when", "seeds", "replicas", "resources"} < set(properties)
    assert schema_of("run")["additionalProperties"] is False


def test_an_unknown_schema_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SpecError, match="did you mean `run`"):
        schema_of("runn")

"""The wire submission becomes the kernel's event, whoever sent it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passloop.apps.errors import SpecError
from passloop.apps.queue.convert import environment_text, to_submitted
from passloop.apps.queue.wire import decode_submission, encode_submission, plain_submission, submission_schema
from passloop.kernel.machine import Machine
from passloop.kernel.resources import DeviceAsk, Variant
from passloop.kernel.tasks import Dependency

from .places import submitted


def converted(**body: Any) -> Any:
    body.setdefault("tasks", [{"command": ["true"]}])
    return to_submitted(decode_submission(json.dumps(body).encode())).submitted


def test_a_submission_survives_the_wire() -> None:
    wire = submitted("a", "b", array="1-3", gpus="0.5", or_variants=("gpus=0,cpus=2",), env=("A=b",), key="k")
    assert decode_submission(encode_submission(wire)) == wire
    assert decode_submission(json.dumps(plain_submission(wire)).encode()) == wire


def test_the_request_becomes_exact_variants() -> None:
    wire = submitted(gpus="0.5", vram="20GiB", mem="1GiB", or_variants=("gpus=2", "gpus=0,cpus=16"))
    request = to_submitted(wire).submitted.tasks[0].spec.request
    assert request.variants == (
        Variant(DeviceAsk(share=5_000, vram_mib=20_480), (("memory", 1_024),)),  # type: ignore[arg-type]
        Variant(DeviceAsk(count=2, vram_mib=20_480), (("memory", 1_024),)),  # type: ignore[arg-type]
        Variant(None, (("cpu", 16_000), ("memory", 1_024))),  # type: ignore[arg-type]
    )


def test_the_payload_is_what_the_driver_reads() -> None:
    task = to_submitted(submitted("/bin/echo", "{line}", array="7", env=("A=1",))).submitted.tasks[0]
    environment, _ = environment_text({"PATH": "/bin"})
    assert json.loads(task.payload) == {
        "name": "echo[7]",
        "command": ["/bin/echo", "{line}"],
        "cwd": "/",
        "environment": environment,
        "env": {"A": "1"},
        "index": 7,
        "line": None,
        "params": None,
    }


def test_equal_specs_are_one_object_and_others_are_not() -> None:
    other = {"request": [{"amounts": {"cpu": 2000}}]}
    tasks = converted(
        tasks=[{"command": ["a"]}, {"command": ["b"], "spec": other}, {"command": ["c"], "spec": other}]
    ).tasks
    assert tasks[1].spec is tasks[2].spec
    assert tasks[0].spec is not tasks[1].spec
    assert [task.index for task in tasks] == [0, 1, 2]


def test_equal_environments_have_one_id_whatever_their_order() -> None:
    assert environment_text({"A": "1", "B": "2"}) == environment_text({"B": "2", "A": "1"})


def test_dependencies_hold_group_and_priority_reach_the_kernel() -> None:
    event = converted(after=[[3, False], [4, True]], held=True, group="g", priority=5, name="n")
    assert event.tasks[0].after == (Dependency(3), Dependency(4, any_end=True))
    assert (event.tasks[0].held, event.group, event.priority, event.name) == (True, "g", 5, "n")


def test_the_kernel_takes_what_is_converted() -> None:
    turn = Machine().handle([to_submitted(submitted("true", wait_for_capacity=True)).submitted], 0)
    assert turn.answers[0].tasks == (1,)  # type: ignore[union-attr]


def test_amounts_of_zero_are_nothing() -> None:
    assert converted(spec={"request": [{"amounts": {"memory": 0, "cpu": 1}}]}).tasks[0].spec.request.variants[
        0
    ].amounts == (("cpu", 1),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"tasks":[]}',
        b'{"tasks":[{}]}',
        b'{"tasks":[{"command":[]}]}',
        b'{"tasks":[{"command":["a\\u0000"]}]}',
        b'{"tasks":[{"command":["a"],"line":"\\u0000"}]}',
        b'{"tasks":[{"command":["a"],"key":""}]}',
        b'{"tasks":[{"command":["a"],"name":"\\u202e"}]}',
        b'{"tasks":[{"command":["a"],"cwd":"relative"}]}',
        b'{"tasks":[{"command":["a"],"env":{"A=":"b"}}]}',
        b'{"tasks":[{"command":["a"]}],"nmae":"x"}',
        b'{"tasks":[{"command":["a"]}],"name":"12"}',
        b'{"tasks":[{"command":["a"]}],"group":"a b"}',
        b'{"tasks":[{"command":["a"]}],"cwd":"x"}',
        b'{"tasks":[{"command":["a"]}],"environment":{"":"b"}}',
        b'{"tasks":[{"command":["a"]}],"priority":1e999}',
        b'{"tasks":[{"command":["a"]}],"priority":99999999999999999999}',
        b'{"tasks":[{"command":["a"]}],"after":[[0,false]]}',
        b'{"tasks":[{"command":["a"]}],"spec":{"request":[]}}',
        b'{"tasks":[{"command":["a"]}],"spec":{"request":[{"gpus":1,"share":1}]}}',
        b'{"tasks":[{"command":["a"]}],"spec":{"request":[{"vram_mib":1}]}}',
        b'{"tasks":[{"command":["a"]}],"spec":{"request":[{"share":10000}]}}',
        b'{"tasks":[{"command":["a"]}],"spec":{"request":[{"amounts":{"cpu":-1}}]}}',
        b'{"tasks":[{"command":["a"]}],"spec":{"time_limit":-1}}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_cannot_be_is_refused(body: bytes) -> None:
    with pytest.raises(SpecError) as caught:
        to_submitted(decode_submission(body))
    assert caught.value.problems[0].where
    assert caught.value.problems[0].fix


def test_the_schema_of_the_wire_names_every_field() -> None:
    text = json.dumps(submission_schema())
    assert all(name in text for name in ("refuse_impossible", "vram_mib", "task_class", "command"))


def test_a_field_of_a_newer_passloop_is_answered_with_the_way_to_renew_the_engine() -> None:
    with pytest.raises(SpecError) as refused:
        decode_submission(b'{"tasks": [{"command": ["true"]}], "of_tomorrow": 1}')
    (problem,) = refused.value.problems
    assert "unknown field `of_tomorrow`" in problem.what
    assert "passloop down --leave, then passloop up" in problem.fix

"""The plain document of a quick client means exactly what the wire's own encoder would write for the same words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.api.commands import Shared, command, submission_of_commands
from passloop.apps.errors import SpecError
from passloop.apps.queue.documents import document_bytes
from passloop.apps.queue.options import Place, SubmitOptions, document_of
from passloop.apps.queue.wire import decode_submission, encode_submission, submission_from

from .places import HERE, sweep

SAID: dict[str, list[Any]] = {
    "gpus": ["1", "2", "0.25", "0"],
    "vram": ["20GiB", "500MB"],
    "cpus": ["0", "1.5", "16"],
    "mem": ["2GiB"],
    "balance": [True],
    "need": [("licence=2",), ("licence=1", "disk=1GiB")],
    "or_variants": [("gpus=0,cpus=16",), ("gpus=1", "gpus=0")],
    "name": ["näme", "two words"],
    "group": ["a/b"],
    "key": ["k\U0001f511"],
    "after": [("3,4", "5")],
    "after_any": [("6",)],
    "deadline": ["1d"],
    "priority": [-3, 7],
    "time_limit": ["2h"],
    "grace": ["30s", "0"],
    "retries": ["0", "3"],
    "patience": ["0", "1m"],
    "env": [("A=b=c", "HF_TOKEN")],
    "array": ["0-3", "7"],
    "wait_for_capacity": [True],
    "held": [True],
}
HOLDS_ANYWAY = [("gpus", "0"), ("grace", "30s"), ("retries", "0")]
OPTIONS = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in SAID.items()})


def written(options: dict[str, Any]) -> bytes | None:
    """The body for these options; None where they go not together."""
    try:
        return document_bytes(document_of(SubmitOptions(**options), ("echo", "{index}", "ü"), HERE))
    except SpecError:
        return None


def says(document: Any, whole: Any) -> bool:
    """Whether `document` says all that stands in `whole`; beyond it only what holds anyway."""
    if isinstance(whole, dict):
        return all(name in document and says(document[name], value) for name, value in whole.items())
    if isinstance(whole, list):
        return len(document) == len(whole) and all(map(says, document, whole))
    return bool(document == whole)


@given(OPTIONS)
@settings(max_examples=150)
def test_the_quick_document_is_the_full_one(options: dict[str, Any]) -> None:
    body = written(options)
    if body is None:
        return
    meant = decode_submission(body)
    whole = encode_submission(meant)
    assert decode_submission(whole) == meant
    assert says(json.loads(body), json.loads(whole))


@pytest.mark.parametrize("name", sorted(SAID))
def test_no_option_is_lost_between_the_words_and_the_engine(name: str) -> None:
    base = {"gpus": "2"} if name in ("vram", "balance") else {}
    plain = decode_submission(written(base) or b"")
    for value in SAID[name]:
        told = decode_submission(written({**base, name: value}) or b"")
        assert (told == plain) is ((name, value) in HOLDS_ANYWAY), (name, value)


def test_the_command_line_and_python_send_equal_documents() -> None:
    line = SubmitOptions(gpus="2", vram="20GiB", time_limit="90", env=("A=1",), key="k", priority=3, after=("5",))
    python = command("echo", "x", gpus=2, vram="20GiB", time_limit=90, env={"A": "1"}, key="k")
    quick = document_bytes(document_of(line, ("echo", "x"), HERE))
    full = encode_submission(submission_of_commands([python], Shared(priority=3, after=(5,)), HERE))
    assert decode_submission(quick) == decode_submission(full)


def test_a_sweep_of_one_cell_asks_for_what_the_command_line_asks_for() -> None:
    spec = "run: r\ncommand: [echo, x]\ntime_limit: 2h\nresources: {gpus: 1, vram: 20GiB, or: [{gpus: 0, cpus: 16}]}\n"
    options = SubmitOptions(gpus="1", vram="20GiB", or_variants=("gpus=0,cpus=16",), time_limit="2h")
    quick = submission_from(document_of(options, ("echo", "x"), HERE))
    assert sweep(spec).submission(HERE).spec == quick.spec


def test_a_directory_that_json_cannot_say_is_refused() -> None:
    with pytest.raises(SpecError, match="not UTF-8"):
        document_of(SubmitOptions(), ("true",), Place(cwd="/a\udcff", environment={}))

"""What a request to tune says: a study, or one sentence of what is wrong with it; and which run is joined."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.apps.errors import SpecError
from passloop.apps.tune.search.declaring import decode_request, live_run
from tests.support.tuned import Tuned
from tests.unit.apps.tune.studies import GOOD, study

WIRE = json.loads(study().wire())
JUNK: Any = st.one_of(st.none(), st.integers(), st.text(max_size=5), st.just([]), st.just({"a": [1]}), st.floats())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all parts of a value."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += places(each, (*path, key))
    return found


def with_junk(value: Any, path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = with_junk(value[path[0]], path[1:], junk)
    return copied


def body(told: Any, **more: Any) -> bytes:
    return json.dumps({"study": json.dumps(told), **more}).encode()


def test_a_study_travels_whole() -> None:
    asked = decode_request(body(WIRE, box=[2, 81_000], environment={"A": "b"}))
    made = asked.read()
    assert (made.id, made.box.gpus, asked.environment) == (study().id, 2, {"A": "b"})


@settings(max_examples=150)
@given(path=st.sampled_from(places(WIRE)), junk=JUNK)
def test_whatever_stands_in_a_study_is_a_study_or_a_sentence(path: tuple[Any, ...], junk: Any) -> None:
    asked = decode_request(body(with_junk(WIRE, path, junk)))
    with contextlib.suppress(SpecError):
        assert asked.read().name


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"study": 1}', b'{"study": "{}"}', b'{"study": "{}", "more": 1}', b"\xff"]
)
def test_what_is_no_request_is_refused(text: bytes) -> None:
    with pytest.raises(SpecError):
        decode_request(text).read()


async def test_a_run_under_way_is_joined_by_the_same_spec_and_refused_to_another(tmp_path: Path) -> None:
    made = Tuned(tmp_path, study(search={"baseline": False}))
    await made.open()
    reader = made.rig.store.reader()
    assert live_run(reader, made.study) is None
    await made.declare()
    await made.until_live(1)
    joined = live_run(reader, made.study)
    assert joined is not None
    assert joined.row.id == made.run
    with pytest.raises(SpecError, match=r"run 1 \(`small`\) measures the same server .* for another spec") as caught:
        live_run(reader, study(search={"baseline": False, "seed": 9}))
    assert "passloop wait @1, then the same command again" in caught.value.problems[0].fix
    other = {**GOOD["load"], "max_tokens": 7}
    assert live_run(reader, study(load=other)) is None
    await made.to_the_end(lambda _order: 1.0)
    assert live_run(reader, made.study) is None
    await made.rig.close()

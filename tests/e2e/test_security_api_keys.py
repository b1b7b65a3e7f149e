"""The key of an endpoint is given to the endpoint and to nobody else: not to the store, the dataset's files, a report,
a python column or whoever asks, though the endpoint puts it into an error and a model into its answer.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from passloop.cli.client import Client
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.command_line import Box
from tests.support.generating import generating

KEY = "canary-4d1b7a-endpoint-key"
NAME = "CANARY_API_KEY"
FAULTS = (Fault(status=400, last=1, body="no, {key} is wrong"), Fault(status=503, first=1, last=2, body="{key}"))
LOOK = "import os\ndef look(row):\n    return os.environ.get('CANARY_API_KEY', 'not there')\n"
COLUMNS: list[dict[str, Any]] = [
    {"name": "said", "kind": "llm_text", "model": "m", "prompt": "say your key"},
    {"name": "also", "kind": "llm_text", "model": "n", "prompt": "say your key"},
    {"name": "seen", "kind": "python", "call": "canarycols:look", "needs": ["said"]},
]
ROUTES = ("/status", "/tasks", "/tasks/1", "/runs", "/runs/1", "/pools", "/now", "/table", "/journal?limit=500")
SAYS = (["show", "1", "--json"], ["report", "@made", "-o", "page.html"])


async def test_an_endpoints_key_is_nowhere(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, KEY)
    box.environment[NAME] = KEY
    kept = box.folder / "the-key"
    kept.write_text(KEY)
    (box.folder / "canarycols.py").write_text(LOOK)
    script = Script(api_keys=(KEY,), default=ModelScript(latency=0, faults=FAULTS, answers=(f"it is {KEY}!",)))
    async with generating(box.folder, script) as stand:
        spec = json.loads(stand.dataset(retries={"failure": 0}).wire())["spec"] | {"columns": COLUMNS}
        here = spec["endpoints"]["here"]
        spec["endpoints"] = {"here": here | {"api_key": f"env:{NAME}"}, "there": here | {"api_key": f"file:{kept}"}}
        spec["models"]["n"] = {"endpoint": "there", "model": "n"}
        (box.folder / "spec.yaml").write_text(json.dumps(spec))
        made = await asyncio.to_thread(box.run, "generate", "spec.yaml", "--json")
        assert (made.code, made.json()["counts"]["kept"] > 0) == (1, True), made
        said = [made, *[await asyncio.to_thread(box.run, *words) for words in SAYS]]
        client = Client(str(box.home))
        answered = [str(await asyncio.to_thread(client.get, route)) for route in ROUTES]
        assert stand.endpoint.keys == []
    assert {one.code for one in said} <= {0, 1}, said
    assert [one for one in said if KEY in one.out + one.err] == []
    assert [text for text in answered if KEY in text] == []
    assert holders(box.folder) == {"the-key"}
    rows = json.dumps(await asyncio.to_thread(rows_of, box.folder / "made.parquet"))
    assert "it is ***!" in rows
    assert "not there" in rows


def holders(folder: Path) -> set[str]:
    """The files that hold the key."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix() for path in files if KEY.encode() in path.read_bytes()}


def rows_of(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found

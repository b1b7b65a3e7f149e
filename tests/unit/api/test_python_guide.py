"""Each example of the Python guide runs as it stands there, in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.ledger import pretend

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "python.md"
EXAMPLES = re.findall(
    r"^## (.+?)$[^#]*?^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
FILES = {
    "train.py": "import json, os\n"
    "out = os.environ.get('PASSLOOP_OUT', '.')\n"
    "assert len(os.environ['CUDA_VISIBLE_DEVICES'].split(',')) in (1, 2)\n"
    "open(os.path.join(out, 'metrics.json'), 'w').write(json.dumps({'loss': 0.5}))\n",
    "report.py": "",
    "study.py": "def evaluate(depth, seed):\n    return {'accuracy': depth / 10, 'seed': seed}\n",
}
SAID = {
    "Work": "1 succeeded\n{'loss': 0.5}\n",
    "Many at once": "",
    "Functions": "0.2\n0.4\n",
    "Only GPUs": "('GPU-virtual-0', 'GPU-virtual-1') (0, 1)\n",
    "Without await": "0\n",
}


def test_the_guide_has_an_example_for_each_expectation() -> None:
    assert [title for title, _ in EXAMPLES] == list(SAID)


@pytest.mark.parametrize(("title", "code"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_an_example_runs(title: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, tmp_path, "2x80GiB")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "example.py").write_text(
        f"import asyncio\nasync def main():\n{textwrap.indent(code, '    ')}\nasyncio.run(main())\n"
    )
    folder = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(SAID[title])

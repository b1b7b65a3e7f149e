"""A full disk without an engine: exit code 5, what is full and how to go on; never a traceback, never "damaged"."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from passloop.cli.crash import write_crash
from tests.support.file_sizes import files_up_to
from tests.support.killing import ROOT
from tests.support.small_disk import MOUNT, NAMESPACE, can_mount

ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
from passloop.cli.main import main
from tests.support.filled_home import fill

disk = Path(sys.argv[1])
fill(disk / "used", done=2, queued=0)
filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
try:
    while os.write(filler, b"x" * 4_096):
        pass
except OSError:
    pass
for home, *words in (("new", "run", "true"), ("used", "ls"), ("used", "doctor", "--repair"), ("used", "doctor")):
    sys.stderr.write(f"{main(['--home', str(disk / home), *words])} by {words}\\n")
"""


@pytest.mark.skipif(not can_mount(), reason="no file system may be mounted here")
def test_without_an_engine_a_full_disk_is_exit_5_and_no_damage(tmp_path: Path) -> None:
    inside = [sys.executable, "-c", ON_A_FULL_DISK, str(tmp_path)]
    words = [*NAMESPACE, "sh", "-c", MOUNT, "sh", "2m", str(tmp_path), *inside]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    codes = [line for line in done.stderr.splitlines() if line[:1].isdigit()]
    assert codes == ["5 by ['run', 'true']", "5 by ['ls']", "5 by ['doctor', '--repair']", "1 by ['doctor']"]
    assert done.stderr.count("error: disk full: ") == 3
    assert done.stderr.count("hint: Free space on this disk: an engine that runs then goes on alone, and") == 3
    assert "could not be checked: disk full" in done.stdout
    assert "damaged" not in done.stdout
    assert "Traceback" not in done.stderr


def test_a_crash_without_room_for_its_file_goes_to_stderr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with files_up_to(0):
        told = write_crash(ZeroDivisionError("oh"), ["ls"])
    assert "the details went to stderr: no file could be written for them (File too large)" in told.message
    assert told.exit_code == 70
    assert "ZeroDivisionError: oh" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "an empty file tells nobody anything"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert "(No such file or directory)" in write_crash(ZeroDivisionError("oh"), ["ls"]).message

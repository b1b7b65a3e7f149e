"""The engine answers the user it runs as and nobody else: by the home's mode, and where that was opened by who is at
the other end. A real other user tries; where this is not root nobody else can be had, and it is skipped.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import served

SYSTEM_PYTHON = Path("/usr/bin/python3")
NOBODY = 65_534
SECONDS = 20
ASK = """
import socket, sys
link = socket.socket(socket.AF_UNIX)
try:
    link.connect(sys.argv[1])
except PermissionError:
    print("no way in")
    sys.exit()
link.sendall(b"%s /api/v1%s HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n"
             % (sys.argv[2].encode(), sys.argv[3].encode()))
while piece := link.recv(65536):
    print(piece.decode(), end="")
"""
ROUTES = [("GET", "/status"), ("GET", "/tasks"), ("POST", "/submit"), ("GET", "/events"), ("GET", "/nowhere")]

another_user = pytest.mark.skipif(
    os.geteuid() != 0 or not SYSTEM_PYTHON.exists(), reason="another user can be had by root only, with a system Python"
)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, as /tmp is; pytest's own are not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def ask_as_nobody(path: Path, method: str, route: str) -> str:
    """What another user is told at the socket."""
    words = [str(SYSTEM_PYTHON), "-I", "-c", ASK, str(path), method, route]
    asking = await asyncio.create_subprocess_exec(
        *words, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(asking.communicate(), SECONDS)
    assert asking.returncode == 0
    return out.decode()


@another_user
async def test_another_user_does_not_get_to_the_socket(open_folder: Path) -> None:
    async with served(open_folder) as one:
        assert await ask_as_nobody(one.rig.home.socket, "GET", "/status") == "no way in\n"


@another_user
async def test_another_user_is_refused_at_an_opened_socket_whatever_is_asked(open_folder: Path) -> None:
    async with served(open_folder) as one:
        await one.submit(1, name="hidden")
        one.rig.home.path.chmod(0o755)
        one.rig.home.socket.chmod(0o666)
        for method, route in ROUTES:
            said = await ask_as_nobody(one.rig.home.socket, method, route)
            assert said.startswith("HTTP/1.1 403 "), said
            assert "hidden" not in said
            assert str(one.rig.home.path) not in said


async def test_nothing_in_a_home_is_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with served(tmp_path) as one:
            await one.submit()
            await asyncio.to_thread(one.rig.store.backup)
            home = one.rig.home.path
            modes = {path.relative_to(home): stat.S_IMODE(path.lstat().st_mode) for path in [home, *home.rglob("*")]}
    finally:
        os.umask(before)
    assert modes[Path()] == 0o700
    assert len(modes) > 6
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}

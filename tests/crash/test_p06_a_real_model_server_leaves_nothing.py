"""P6 with a real offender: vLLM's API server, whose engine and workers outlive a kill -9 of it and keep their memory.

Only in the large figures, in an environment of its own, and skipped with the reason where that cannot be made.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.drivers.identity import Process, boot_id, open_process, process_from_json, send, ticks_of
from passloop.drivers.processes.keeper.tree import descendants, resident_kib
from passloop.engine.attempts import attempt_folder
from passloop.kernel.tasks import TaskState
from passloop.store.inotify import CREATED, MODIFIED, watcher
from tests.support.killing import Field, Nursery
from tests.support.promises import record
from tests.support.vllm_cpu import CannotInstallError, install, serve_command, tiny_model

pytestmark = [pytest.mark.large, pytest.mark.timeout(2_400)]

GRACE = 5_000
LATEST = GRACE / 1000 + 10.0
UP_WITHIN = 300.0
UP = "Application startup complete"
QUIET = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return install(tmp_path_factory.mktemp("vllm") / "environment")
    except CannotInstallError as reason:
        pytest.skip(str(reason))


@pytest.fixture
def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def short_tmp() -> Iterator[str]:
    """Where vLLM makes sockets, whose paths may have 107 bytes: a test's own folder can be longer."""
    with tempfile.TemporaryDirectory(prefix="vllm-", dir="/tmp") as folder:
        yield folder


def wait_up(folder: Path) -> None:
    """Until the server has said that it serves."""
    logs = [folder / name for name in ("stdout.log", "stderr.log")]
    until = time.monotonic() + UP_WITHIN
    with watcher() as watch:
        watch.add(str(folder), CREATED | MODIFIED)
        while not any(UP in log.read_text(errors="replace") for log in logs if log.exists()):
            left = until - time.monotonic()
            assert left > 0, [log.read_text(errors="replace")[-2_000:] for log in logs]
            select.select([watch], [], [], left)
            assert not (folder / "exit.json").exists(), logs[1].read_text(errors="replace")[-3_000:]
            watch.drain()


def test_p06_vllm_killed_with_9_leaves_no_engine_and_no_worker(
    python: Path, free_port: int, short_tmp: str, field: Field, nursery: Nursery, tmp_path: Path
) -> None:
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    command = serve_command(python, tiny_model(tmp_path / "model"), free_port)
    variables = QUIET | {"TMPDIR": short_tmp, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    words = ["env", *(f"{name}={value}" for name, value in variables.items()), *command]
    (task,) = field.submit_tasks([{"command": words}], spec={"grace": GRACE})
    field.wait_running([task])
    row, attempts = field.ledger()[task]
    wait_up(attempt_folder(field.home, row.run, task, row.attempts))
    shim = process_from_json(attempts[-1].process)
    tree = [Process(pid, ticks_of(pid) or 0, boot_id()) for pid in descendants(shim.pid)]
    assert len(tree) >= 3, "the server, its engine and a worker"
    resident_mib = resident_kib(shim.pid) // 1024
    held = open_process(tree[0])
    assert held is not None
    killed = time.monotonic()
    send(held, signal.SIGKILL)
    os.close(held)
    field.wait_final([task], seconds=LATEST)
    late = time.monotonic() - killed
    assert [process for process in tree if open_process(process) is not None] == []
    assert field.ledger()[task][0].state is TaskState.FAILED
    field.assert_everything_is_free_and_whole()
    engine.kill()
    figure = "vLLM's API server killed with -9: its engine and worker ended, 0 survivors"
    after = round(late * 1000) - GRACE
    record("P6", figure, servers=1, processes=len(tree), resident_mib=resident_mib, latest_ms=after)

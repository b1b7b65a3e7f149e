"""The small parts below the shim: frames, orders, records, processes and their trees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from passloop.drivers.identity import (
    Process,
    boot_id,
    open_process,
    own_process,
    process_from_json,
    process_json,
    ticks_of,
)
from passloop.drivers.processes.keeper import records, tree
from passloop.drivers.processes.keeper.frames import Order, join, split, take_frames
from passloop.drivers.processes.reattach import ask_to_stop
from passloop.drivers.processes.spawn import build_order
from tests.support.attempts import order_for
from tests.support.bystander import Bystander

KEEPER = Path(records.__file__).parent


@pytest.fixture
def folder(tmp_path: Path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_frames_come_out_as_they_went_in_however_they_are_cut() -> None:
    sent = [[b"a", b""], [b""], [b"x" * 5000, b"y"]]
    stream = b"".join(join(fields) for fields in sent)
    buffer, found = bytearray(), []
    for at in range(0, len(stream), 7):
        buffer += stream[at : at + 7]
        found += [split(body) for body in take_frames(buffer)]
    assert (found, buffer) == (sent, b"")


def test_a_nul_in_a_field_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        join([b"a\0b"])


def test_an_order_comes_out_as_it_went_in(tmp_path: Path) -> None:
    launch = order_for(tmp_path, 5, ["a", "", "\udcff"], time_limit=7, memory_limit=8, payload={"line": ""})
    order = build_order(launch, cgroup=Path("/group"), lock_fds=[4, 5])
    again = Order.of(split(join(order.fields())[4:]))
    assert {name: getattr(again, name) for name in Order.__slots__} == {
        name: getattr(order, name) for name in Order.__slots__
    }


@pytest.mark.parametrize("text", ["plain", 'quo"te', "back\\slash", "new\nline", "\u00fc", "\U0001f600", "\udcff", ""])
def test_a_records_text_is_json(text: str) -> None:
    assert json.loads(records.quote(text)) == text.encode("utf-8", "replace").decode()


def test_a_record_is_a_json_object() -> None:
    fields = {"a": "x", "b": 1, "c": None, "d": True, "e": False}
    assert json.loads(records.to_json(fields)) == fields


def test_only_the_first_makes_the_start_record(folder: int, tmp_path: Path) -> None:
    assert records.claim_start(folder, b"first")
    assert not records.claim_start(folder, b"second")
    assert (tmp_path / "start.json").read_bytes() == records.sealed(b"first")
    assert [path.name for path in tmp_path.iterdir()] == ["start.json"]


def test_a_file_system_without_exclusive_rename_links(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_renameat2", None)
    assert records.claim_start(folder, b"first")
    assert not records.claim_start(folder, b"second")
    assert [path.name for path in tmp_path.iterdir()] == ["start.json"]


def test_a_start_record_in_a_folder_that_is_gone_is_an_error(folder: int, tmp_path: Path) -> None:
    tmp_path.rmdir()
    with pytest.raises(FileNotFoundError):
        records.claim_start(folder, b"first")


def test_the_exit_record_has_its_bytes_before_it_is_written(folder: int, tmp_path: Path) -> None:
    fd = records.reserve_exit(folder)
    assert (tmp_path / "exit.json.tmp").stat().st_blocks * 512 >= records.RESERVED
    records.store_exit(folder, fd, b"{}")
    records.sync_exit(folder, fd)
    os.close(fd)
    assert (tmp_path / "exit.json").read_bytes() == records.sealed(b"{}")


def test_a_sealed_record_is_json_and_comes_back_as_it_was() -> None:
    record = records.to_json({"a": "x, }", "b": None})
    assert json.loads(records.sealed(record))["a"] == "x, }"
    found = records.unsealed(records.sealed(record))
    assert found is not None
    assert json.loads(found) == json.loads(record)


def test_a_sealed_record_with_any_bit_flipped_or_cut_anywhere_is_known_for_it() -> None:
    text = records.sealed(records.to_json({"kind": "success", "exit_code": 0}))
    flipped = [text[:at] + bytes([text[at] ^ 1 << bit]) + text[at + 1 :] for at in range(len(text)) for bit in range(8)]
    cut = [text[:at] for at in range(len(text))]
    assert {records.unsealed(one) for one in flipped + cut} == {None}


def test_the_latest_wish_to_stop_counts(folder: int, tmp_path: Path) -> None:
    assert records.read_stop(folder) == (None, "")
    ask_to_stop(tmp_path, grace=500, reason="down")
    ask_to_stop(tmp_path, grace=0, reason="cancelled")
    assert records.read_stop(folder) == (0, "cancelled")


def test_own_ticks_are_those_others_see() -> None:
    assert records.own_ticks() == ticks_of(os.getpid()) == own_process().ticks


def test_a_process_is_told_from_another_under_its_pid() -> None:
    own = own_process()
    held = open_process(own)
    assert held is not None
    os.close(held)
    assert open_process(Process(own.pid, own.ticks - 1, own.boot)) is None
    assert open_process(Process(own.pid, own.ticks, "another")) is None
    assert open_process(Process(2**22 - 1, 1, boot_id())) is None
    assert process_from_json(process_json(own)) == own


def test_a_zombie_is_not_alive() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ticks_of(pid) is None
    os.waitpid(pid, 0)


def test_descendants_are_found_with_and_without_the_kernels_list(monkeypatch: pytest.MonkeyPatch) -> None:
    script = "import subprocess; p = subprocess.Popen(['cat']); print(p.pid, flush=True); p.wait()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert tree.descendants(process.pid) == [child]
        assert tree.parent_of(child) == process.pid
        assert tree.resident_kib(process.pid) > 0
        assert tree._children_by_parent(process.pid) == [child]
        assert process.stdin is not None
        process.stdin.close()


def test_whoever_has_the_pid_of_a_descendant_that_ended_meanwhile_is_not_signalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look at the tree and the signal a pid may become another's: that one has no parent in the tree."""
    with Bystander() as other, subprocess.Popen(["cat"], stdin=subprocess.PIPE) as root:
        monkeypatch.setattr(tree, "descendants", lambda _root: [other.pid])
        assert tree.signal_all(root.pid, signal.SIGTERM, signal.SIGKILL) == [other.pid]
        assert root.stdin is not None
        root.stdin.close()


def test_the_bare_interpreter_loads_nothing_of_passloop_but_the_keeper() -> None:
    script = (
        "import sys, types; package = types.ModuleType('keeper'); package.__path__ = [sys.argv[1]];"
        "sys.modules['keeper'] = package; import keeper.zygote;"
        "print(*sorted(sys.modules))"
    )
    command = [sys.executable, "-I", "-S", "-c", script, str(KEEPER)]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "re" not in loaded
    assert not [name for name in loaded if name.startswith(("passloop", "json", "asyncio", "subprocess"))]


async def test_two_engines_at_once_see_only_their_own_reports(tmp_path: Path) -> None:
    from tests.support.attempts import Stage

    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    async with Stage(homes[0]) as first, Stage(homes[1]) as second:
        await first.run(["true"], 1)
        await second.run(["true"], 2)
        assert (first.heard.of(2), second.heard.of(1)) == ([], [])

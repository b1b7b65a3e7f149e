"""Blocks of ports: never two of them alike, never one that is in use, nothing left by the dead."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.apps.tune.trial.failures import TrialFailure
from passloop.apps.tune.trial.ports import UNIT, PortBlock, port_folder, taken_ports
from passloop.devices.locks import LOCK_FOLDER_VARIABLE

HOLDER = """
import sys
from pathlib import Path
from passloop.apps.tune.trial.ports import PortBlock
block = PortBlock.take(16, Path(sys.argv[1]), temporary=Path(sys.argv[2]))
(block.temporary / "left").touch()
print(block.first, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def taken(tmp_path: Path) -> Iterator[PortBlock]:
    block = PortBlock.take(UNIT, tmp_path / "locks", temporary=tmp_path / "temporary")
    yield block
    block.release()


def take(tmp_path: Path, count: int = UNIT, *, avoid: int = 0, begin: int | None = None) -> PortBlock:
    return PortBlock.take(count, tmp_path / "locks", temporary=tmp_path / "temporary", avoid=avoid, begin=begin)


def test_two_blocks_share_no_port(taken: PortBlock, tmp_path: Path) -> None:
    wide = take(tmp_path, 40, begin=taken.first - 16)
    ports = {*range(taken.first, taken.first + 16)} & {*range(wide.first, wide.first + 40)}
    wide.release()
    assert not ports


def test_a_block_with_somebody_in_it_is_not_given_out(tmp_path: Path) -> None:
    first = take(tmp_path)
    first.release()
    with socket.create_server(("127.0.0.1", first.first + 5)):
        assert taken_ports(first.first, 16) == [first.first + 5]
        second = take(tmp_path)
    second.release()
    assert second.first != first.first


def test_a_listener_on_all_addresses_of_the_other_family_counts(taken: PortBlock) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    with socket.create_server(("::1", taken.first), family=socket.AF_INET6):
        assert taken_ports(taken.first, 2) == [taken.first]


def test_a_second_try_is_in_another_block(tmp_path: Path) -> None:
    first = take(tmp_path)
    first.release()
    second = take(tmp_path, avoid=first.first)
    second.release()
    assert second.first != first.first


def test_its_folder_is_empty_and_gone_with_it(taken: PortBlock) -> None:
    assert stat.S_IMODE(taken.temporary.stat().st_mode) == 0o700
    (taken.temporary / "socket").touch()
    taken.release()
    taken.release()
    assert not taken.temporary.exists()


def test_what_a_killed_trial_held_is_free_and_clean(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "locks"), str(tmp_path / "temporary")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        first = int(holder.stdout.readline())
        kept = tmp_path / "temporary" / str(first) / "left"
        assert kept.exists()
        holder.kill()
    assert kept.exists()
    block = take(tmp_path, begin=first)
    assert block.first == first
    assert not kept.exists()
    block.release()


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "locks").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TrialFailure, match=r"locks of ports, .*/locks, cannot be used.*PASSLOOP_LOCK_DIR") as refused:
        take(tmp_path)
    assert (refused.value.kind, refused.value.final) == ("port", True)


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o777)
    with pytest.raises(TrialFailure, match="can be written to by, somebody else"):
        take(tmp_path)


def test_a_lock_that_is_a_link_is_passed_over(tmp_path: Path) -> None:
    first = take(tmp_path)
    first.release()
    lock = tmp_path / "locks" / f"{first.first}.lock"
    lock.unlink()
    lock.symlink_to(tmp_path / "victim")
    second = take(tmp_path)
    second.release()
    assert second.first != first.first
    assert not (tmp_path / "victim").exists()


def test_more_ports_than_there_are_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(TrialFailure, match="no 60000 free ports in a row"):
        take(tmp_path, 60_000)


def test_all_trials_of_a_user_share_a_folder_of_their_own() -> None:
    assert port_folder({LOCK_FOLDER_VARIABLE: "/locks"}) == Path(f"/locks/passloop-ports-{os.geteuid()}")
    assert port_folder({}).parent in (Path("/run/lock"), Path("/tmp"))

"""Containers beyond the contract: what they are given, what is removed, and what docker alone knows."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.apps.tune.engines.base import CannotStart, End, Site
from passloop.apps.tune.engines.docker import ATTEMPT_LABEL, TASK_LABEL, DockerEngine
from passloop.apps.tune.records import EngineOrder
from tests.support.fake_docker import IMAGE, FakeDocker, fake_docker

ENDS = (sys.executable, "-m", "passloop.testing.server", "--exit-at-start", "1")
STAYS = (sys.executable, "-m", "passloop.testing.server", "--never-listen")
LIMIT = 20
GRACE = 10_000


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDocker]:
    with fake_docker() as (engine, address):
        monkeypatch.setenv("DOCKER_HOST", address)
        yield engine


def site(tmp_path: Path, *, attempt: str = "home-7", gpus: tuple[str, ...] = ()) -> Site:
    environment = {
        "PASSLOOP_ATTEMPT_ID": attempt,
        "CUDA_VISIBLE_DEVICES": ",".join(gpus),
        "PASSLOOP_OUT": str(tmp_path),
        "AWS_SECRET_ACCESS_KEY": "not for servers",
    }
    return Site(
        port=29_900,
        ports=16,
        temporary=tmp_path,
        environment=environment,
        log=lambda _: None,
        gpus=gpus,
        mark=attempt,
        task="3",
    )


async def test_a_container_is_given_its_devices_labels_and_ports(docker: FakeDocker, tmp_path: Path) -> None:
    order = EngineOrder(kind="docker", argv=ENDS, env={"HF_HOME": "/cache"}, image=IMAGE, options={"shm_size": "1g"})
    server = await DockerEngine().start(order, site(tmp_path, gpus=("GPU-a", "GPU-b")))
    await server.stop(GRACE)
    (asked,) = docker.created
    host = asked["HostConfig"]
    assert asked["Labels"] == {ATTEMPT_LABEL: "home-7", TASK_LABEL: "home-3"}
    assert host["DeviceRequests"][0]["DeviceIDs"] == ["GPU-a", "GPU-b"]
    assert (host["NetworkMode"], host["IpcMode"], host["ShmSize"]) == ("host", "host", 1 << 30)
    assert sorted(asked["Env"]) == [
        "CUDA_VISIBLE_DEVICES=GPU-a,GPU-b",
        "HF_HOME=/cache",
        "MASTER_PORT=29915",
        "PASSLOOP_ATTEMPT_ID=home-7",
        "VLLM_PORT=29901",
    ]


async def test_its_image_and_digest_are_told(docker: FakeDocker, tmp_path: Path) -> None:
    server = await DockerEngine().start(EngineOrder(kind="docker", argv=ENDS, image=IMAGE), site(tmp_path))
    facts = server.facts()
    await server.stop(GRACE)
    assert facts == {"image": IMAGE, "image_id": "sha256:1", "image_digest": "scripted@sha256:0123"}


async def test_a_stopped_container_is_removed(docker: FakeDocker, tmp_path: Path) -> None:
    server = await DockerEngine().start(EngineOrder(kind="docker", argv=STAYS, image=IMAGE), site(tmp_path))
    await server.stop(GRACE)
    assert docker.removed == ["passloop-home-7"]
    assert not docker.containers


async def test_what_an_earlier_attempt_of_the_task_left_is_removed(docker: FakeDocker, tmp_path: Path) -> None:
    for task, name in (("home-3", "passloop-home-6"), ("home-4", "passloop-home-5")):
        old = docker.create(name, {"Cmd": STAYS, "Env": [], "Labels": {TASK_LABEL: task}})
        old.start()
    server = await DockerEngine().start(EngineOrder(kind="docker", argv=STAYS, image=IMAGE), site(tmp_path))
    assert docker.removed == ["passloop-home-6"]
    await server.stop(GRACE)


async def test_a_start_that_is_cancelled_leaves_no_container(docker: FakeDocker, tmp_path: Path) -> None:
    order = EngineOrder(kind="docker", argv=STAYS, image=IMAGE)
    starting = asyncio.ensure_future(DockerEngine().start(order, site(tmp_path)))
    docker.when_created(asyncio.get_running_loop(), starting.cancel)
    async with asyncio.timeout(LIMIT):
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert docker.removed == ["passloop-home-7"]


async def test_a_container_killed_for_its_memory_says_so(docker: FakeDocker, tmp_path: Path) -> None:
    docker.memory = True
    server = await DockerEngine().start(EngineOrder(kind="docker", argv=ENDS, image=IMAGE), site(tmp_path))
    async with asyncio.timeout(LIMIT):
        assert await server.ended == End(code=1, memory=True)
    await server.stop(GRACE)


def guard_of(container: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "passloop.apps.tune.engines.docker_guard", container], stdin=subprocess.PIPE
    )


def test_the_guard_removes_the_container_when_its_trial_dies(docker: FakeDocker) -> None:
    container = docker.create("left-alone", {"Cmd": STAYS, "Env": []})
    container.start()
    with guard_of(container.id) as guard:
        guard.communicate(timeout=LIMIT)
    assert docker.removed == ["left-alone"]
    assert guard.returncode == 0


def test_the_guard_leaves_a_finished_trial_alone(docker: FakeDocker) -> None:
    container = docker.create("not-mine", {"Cmd": STAYS, "Env": []})
    with guard_of(container.id) as guard:
        guard.communicate(b"done\n", timeout=LIMIT)
    assert (docker.removed, guard.returncode) == ([], 0)


@pytest.mark.parametrize(
    ("order", "kind", "words"),
    [
        (EngineOrder(kind="docker", argv=ENDS), "bad_flag", "engine.image is missing"),
        (EngineOrder(kind="docker", argv=ENDS, image=IMAGE, options={"network": "x"}), "bad_flag", "a container knows"),
        (EngineOrder(kind="docker", argv=ENDS, image="absent:1"), "download", "cannot be pulled"),
    ],
)
async def test_what_cannot_be_started_says_why(
    docker: FakeDocker, tmp_path: Path, order: EngineOrder, kind: str, words: str
) -> None:
    with pytest.raises(CannotStart, match=words) as refused:
        await DockerEngine().start(order, site(tmp_path))
    assert refused.value.kind == kind


async def test_an_engine_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    with pytest.raises(CannotStart, match="the docker engine cannot be reached"):
        await DockerEngine().start(EngineOrder(kind="docker", argv=ENDS, image=IMAGE), site(tmp_path))


async def test_without_the_sdk_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "docker", None)
    with pytest.raises(CannotStart, match=r"pip install 'passloop\[docker\]'") as refused:
        await DockerEngine().start(EngineOrder(kind="docker", argv=ENDS, image=IMAGE), site(tmp_path))
    assert refused.value.final

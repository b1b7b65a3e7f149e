"""Servers in containers, by the docker SDK (the extra `docker`): label, devices, log, stop, and proof that it is gone.

A container is no child of this process, so three things stand in for the tree: it carries the attempt's name, a guard
removes it when this process dies, and the next attempt of the same task removes what an earlier one left. It runs in
the host's network, so that its ports are those of the block. What the server is given is said by the order alone: of
the task's environment it sees the devices and the attempt's name.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from passloop.apps.tune.records import EngineOrder
from passloop.drivers.processes.keeper.tree import descendants

from .base import CannotStart, End, Holder, Site, Stopped, filled, server_environment
from .listeners import holder_of

__all__ = ["ATTEMPT_LABEL", "TASK_LABEL", "DockerEngine", "DockerServer"]

T = TypeVar("T")

MISSING = "servers in containers need the docker SDK; install it: pip install 'passloop[docker]'"
ATTEMPT_LABEL = "passloop.attempt"
TASK_LABEL = "passloop.task"
SEEN = ("PASSLOOP_ATTEMPT_ID", "PASSLOOP_TASK_ID", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
OPTIONS = frozenset({"volumes", "shm_size", "ipc_mode", "entrypoint", "user", "working_dir"})
SHARED_MEMORY = "16g"
CALL_SECONDS = 60
BY_SIGNAL = 128
LAST_WORDS = 2.0


class DockerEngine:
    """Starts containers."""

    async def start(self, order: EngineOrder, site: Site) -> DockerServer:
        """Start a container of the order's image; one that is not there is pulled. Raises `CannotStart`."""
        if order.image is None:
            raise CannotStart("bad_flag", "engine.image is missing; name the image to run", final=True)
        unknown = sorted(set(order.options) - OPTIONS)
        if unknown:
            known = ", ".join(sorted(OPTIONS))
            raise CannotStart("bad_flag", f"engine.options has {unknown[0]}; a container knows {known}", final=True)
        try:
            import docker
        except ImportError:
            raise CannotStart("bad_flag", MISSING, final=True) from None
        client = await _call(docker.from_env, timeout=CALL_SECONDS)
        begun = asyncio.ensure_future(_call(_begun, client, order, site))
        try:
            container, facts = await asyncio.shield(begun)
            return DockerServer(container, facts, order, site)
        except asyncio.CancelledError:
            await _undo(begun)
            raise
        except CannotStart:
            client.close()
            raise


async def _call(function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Call the SDK off the loop. Its errors become `CannotStart` here."""
    import docker
    import requests

    try:
        return await asyncio.to_thread(function, *arguments, **named)
    except docker.errors.ImageNotFound as error:
        raise CannotStart("download", f"the image is not there and cannot be pulled: {error.explanation}") from None
    except docker.errors.APIError as error:
        kind = "auth" if error.status_code in (401, 403) else "crash"
        raise CannotStart(kind, f"docker refuses: {error.explanation or error}") from None
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        text = f"the docker engine cannot be reached: {error}; start it, or set DOCKER_HOST"
        raise CannotStart("crash", text) from None


def _begun(client: Any, order: EngineOrder, site: Site) -> tuple[Any, dict[str, Any]]:
    """The started container, and what is known of its image."""
    import docker

    labels = _labels(site)
    for old in client.containers.list(all=True, filters={"label": f"{TASK_LABEL}={labels[TASK_LABEL]}"}):
        old.remove(force=True)
    try:
        image = client.images.get(order.image)
    except docker.errors.ImageNotFound:
        image = client.images.pull(order.image)
    digests = image.attrs.get("RepoDigests") or [None]
    facts = {"image": order.image, "image_id": image.id, "image_digest": digests[0]}
    options = {"shm_size": SHARED_MEMORY, "ipc_mode": "host"} | order.options
    devices = [docker.types.DeviceRequest(device_ids=list(site.gpus), capabilities=[["gpu"]])] if site.gpus else []
    container = client.containers.create(
        order.image,
        list(filled(order.argv, site)),
        name=f"passloop-{site.mark or os.getpid()}",
        environment=_environment(order, site),
        labels=labels,
        network_mode="host",
        device_requests=devices,
        init=True,
        **options,
    )
    try:
        container.start()
        container.reload()
    except BaseException:
        container.remove(force=True)
        raise
    return container, facts


async def _undo(begun: asyncio.Future[tuple[Any, dict[str, Any]]]) -> None:
    """A start that nobody waits for any more cannot be called back: its container is removed once it is there."""
    with contextlib.suppress(CannotStart):
        container, _ = await begun
        await _call(container.remove, force=True)
        container.client.close()


def _labels(site: Site) -> dict[str, str]:
    home = site.mark.rpartition("-")[0]
    return {ATTEMPT_LABEL: site.mark, TASK_LABEL: f"{home}-{site.task or os.getpid()}"}


def _environment(order: EngineOrder, site: Site) -> dict[str, str]:
    """What the container sees: no folder of this machine, since none of them is there."""
    seen = {name: site.environment[name] for name in SEEN if name in site.environment}
    found = server_environment(order, Site(**{**_plain(site), "environment": seen}))
    if "TMPDIR" not in order.env:
        del found["TMPDIR"]
    return found


def _plain(site: Site) -> dict[str, Any]:
    return {name: getattr(site, name) for name in Site.__slots__}


class DockerServer:
    """A `Server` that is a container."""

    def __init__(self, container: Any, facts: Mapping[str, Any], order: EngineOrder, site: Site) -> None:
        self._loop = asyncio.get_running_loop()
        self._container = container
        self.argv = filled(order.argv, site)
        self.environment: Mapping[str, str] = _environment(order, site)
        self.ended: asyncio.Future[End] = self._loop.create_future()
        self._facts = facts
        self._pid = int(container.attrs.get("State", {}).get("Pid") or 0)
        self._guard = _guard(container.id)
        self._pump = threading.Thread(target=self._copy, args=(site,), name="passloop-container-log", daemon=True)
        self._watch = threading.Thread(target=self._wait, name="passloop-container-end", daemon=True)
        self._pump.start()
        self._watch.start()

    def holder(self, port: int) -> Holder:
        """By the container's processes where they can be seen; where they cannot, somebody who listens in our locked
        block while our container lives is taken for it.
        """
        visible = self._pid > 0 and os.path.exists(f"/proc/{self._pid}")
        found = holder_of(port, [self._pid, *descendants(self._pid)] if visible else [])
        if found is Holder.NOBODY or self.ended.done():
            return found
        unseen = found is Holder.HIDDEN or not visible
        return Holder.OURS if unseen else found

    def facts(self) -> Mapping[str, Any]:
        return self._facts

    async def drained(self, seconds: float) -> None:
        await asyncio.to_thread(self._pump.join, seconds)

    async def stop(self, grace: int) -> Stopped:
        import docker

        began = self._loop.time()
        alive = not self.ended.done()
        left: tuple[str, ...] = ()
        try:
            await asyncio.to_thread(self._end, math.ceil(grace / 1000))
            async with asyncio.timeout(CALL_SECONDS):
                await asyncio.shield(self.ended)
        except (docker.errors.APIError, OSError, TimeoutError):
            left = (str(self._container.short_id),)
        await self.drained(LAST_WORDS)
        if not left:
            await asyncio.to_thread(self._release_guard)
        killed = alive and self._loop.time() - began >= grace / 1000
        self._container.client.close()
        return Stopped((str(self._container.short_id),) if killed else (), left)

    def _end(self, seconds: int) -> None:
        """Stop it, wait for its end, remove it; that it is gone already is no error. Raises the SDK's errors."""
        import docker

        with contextlib.suppress(docker.errors.NotFound):
            self._container.stop(timeout=seconds)
            self._watch.join(CALL_SECONDS)
            self._container.remove(force=True)

    def _release_guard(self) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(OSError):
            self._guard.stdin.write(b"done\n")
            self._guard.stdin.close()
        self._guard.wait()

    def _copy(self, site: Site) -> None:
        """The container's output goes to the log until it ends."""
        import docker

        with contextlib.suppress(docker.errors.APIError, OSError):
            for piece in self._container.logs(stream=True, follow=True):
                site.log(piece)

    def _wait(self) -> None:
        """Tell the loop of the container's end."""
        import docker

        end = End()
        with contextlib.suppress(docker.errors.APIError, OSError):
            code = int(self._container.wait(timeout=None)["StatusCode"])
            end = _end_of(code, memory=self._killed_for_memory())
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._set_end, end)

    def _killed_for_memory(self) -> bool:
        """Whether docker saw its control group run out of memory."""
        import docker

        with contextlib.suppress(docker.errors.APIError, OSError):
            self._container.reload()
            return bool(self._container.attrs.get("State", {}).get("OOMKilled"))
        return False

    def _set_end(self, end: End) -> None:
        if not self.ended.done():
            self.ended.set_result(end)


def _end_of(code: int, *, memory: bool) -> End:
    number = code - BY_SIGNAL
    if number in signal.Signals._value2member_map_:
        return End(signal=number, memory=memory)
    return End(code=code, memory=memory)


def _guard(container: str) -> subprocess.Popen[bytes]:
    """The process that removes the container if this one dies."""
    words = [sys.executable, "-m", "passloop.apps.tune.engines.docker_guard", container]
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )

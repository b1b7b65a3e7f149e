"""A docker engine's HTTP interface, as far as the SDK needs it to run servers; its containers are processes here.

It stands in for an engine where none runs. Like a real one it ends all of a container's processes with its first, tells
the end as an exit code (128 + signal), streams the log in frames, and keeps a container until it is removed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["IMAGE", "FakeDocker", "fake_docker"]

IMAGE = "scripted:1"
DIGEST = "scripted@sha256:0123"
PATIENCE = 20.0


class Container:
    """One container: created, running, exited."""

    def __init__(self, number: int, name: str, asked: Mapping[str, Any]) -> None:
        self.id = f"{number:064x}"
        self.name = name
        self.asked = asked
        self.output = b""
        self.changed = threading.Condition()
        self.code: int | None = None
        self.memory = False
        self.process: subprocess.Popen[bytes] | None = None
        self.threads: list[threading.Thread] = []

    @property
    def labels(self) -> Mapping[str, str]:
        return self.asked.get("Labels") or {}

    def start(self) -> None:
        environment = dict(word.partition("=")[::2] for word in self.asked.get("Env") or [])
        self.process = subprocess.Popen(
            self.asked["Cmd"],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._reap)]
        for thread in self.threads:
            thread.start()

    def _read(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            while piece := os.read(pipe.fileno(), 65536):
                with self.changed:
                    self.output += piece
                    self.changed.notify_all()

    def _reap(self) -> None:
        assert self.process is not None
        code = self.process.wait()
        self._end_namespace()
        self.threads[0].join(PATIENCE)
        with self.changed:
            self.code = code if code >= 0 else 128 - code
            self.changed.notify_all()

    def _end_namespace(self) -> None:
        """With its first process every process of a container ends; here they are known by their environment."""
        mark = next((word for word in self.asked["Env"] if word.startswith("PASSLOOP_ATTEMPT_ID=")), "")
        for pid in [int(name) for name in os.listdir("/proc") if name.isdecimal()]:
            if mark and pid != os.getpid() and mark.encode() in _environment(pid):
                os.kill(pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: self.code is not None, seconds)

    def output_from(self, sent: int) -> tuple[bytes, bool]:
        """What was written after the first `sent` bytes, once there is some or the end; and whether it has ended."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.output) > sent or self.code is not None)
            return self.output[sent:], self.code is not None

    def signal(self, number: int) -> None:
        if self.process is not None and self.code is None:
            self.process.send_signal(number)

    def described(self) -> dict[str, Any]:
        running = self.process is not None and self.code is None
        state = {
            "Running": running,
            "Status": "running" if running else "exited" if self.process else "created",
            "Pid": self.process.pid if self.process is not None and running else 0,
            "ExitCode": self.code or 0,
            "OOMKilled": self.memory,
        }
        config = {"Image": IMAGE, "Labels": self.labels, "Tty": False}
        return {"Id": self.id, "Name": f"/{self.name}", "State": state, "Config": config, "Image": IMAGE}


def _environment(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


class FakeDocker:
    """The engine. `created` has the bodies of all creations, `removed` the names of what was removed."""

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {}
        self.created: list[Mapping[str, Any]] = []
        self.removed: list[str] = []
        self.gone = threading.Condition()
        self.memory = False
        self._on_create: Callable[[], object] = lambda: None

    def when_created(self, loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
        """Make this call on the loop, and see it done, before the next creation is answered."""

        def on_loop() -> None:
            called = threading.Event()
            loop.call_soon_threadsafe(lambda: (call(), called.set()))
            called.wait(PATIENCE)

        self._on_create = on_loop

    def create(self, name: str, asked: Mapping[str, Any]) -> Container:
        container = Container(len(self.created) + 1, name, asked)
        container.memory = self.memory
        self.created.append(asked)
        self.containers[container.id] = container
        self._on_create()
        return container

    def find(self, word: str) -> Container | None:
        return next((each for each in self.containers.values() if word in (each.id, each.name, each.id[:12])), None)

    def remove(self, container: Container) -> None:
        container.signal(signal.SIGKILL)
        if container.process is not None:
            container.wait(PATIENCE)
        del self.containers[container.id]
        with self.gone:
            self.removed.append(container.name)
            self.gone.notify_all()

    def close(self) -> None:
        for container in list(self.containers.values()):
            self.remove(container)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    docker: FakeDocker

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""

    def _serve(self, method: str) -> None:
        parts = urlsplit(self.path)
        path = re.sub(r"^/v[0-9.]+", "", parts.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length) or b"null")
        if path == "/version":
            self._say(200, {"ApiVersion": "1.44", "Version": "27.0"})
        elif path.startswith("/images/"):
            known = path == f"/images/{IMAGE}/json"
            self._say(200 if known else 404, {"Id": "sha256:1", "RepoDigests": [DIGEST], "message": "no such image"})
        elif path == "/containers/json":
            self._list(query)
        elif path == "/containers/create":
            self._say(201, {"Id": self.docker.create(query.get("name", ""), body).id, "Warnings": []})
        else:
            self._of_container(method, path, query)

    def _list(self, query: Mapping[str, str]) -> None:
        wanted = json.loads(query.get("filters", "{}")).get("label", [])
        found = [
            {"Id": each.id}
            for each in self.docker.containers.values()
            if all(f"{name}={value}" in wanted for name, value in each.labels.items() if name == "passloop.task")
        ]
        self._say(200, found)

    def _of_container(self, method: str, path: str, query: Mapping[str, str]) -> None:
        _, _, word, *rest = path.split("/")
        container = self.docker.find(word)
        if container is None:
            self._say(404, {"message": f"No such container: {word}"})
        elif method == "DELETE":
            self.docker.remove(container)
            self._say(204)
        elif rest == ["start"]:
            self._start(container)
        elif rest == ["json"]:
            self._say(200, container.described())
        elif rest == ["wait"]:
            container.wait(600)
            self._say(200, {"StatusCode": container.code})
        elif rest == ["stop"]:
            container.signal(signal.SIGTERM)
            if not container.wait(float(query.get("t", 10))):
                container.signal(signal.SIGKILL)
                container.wait(PATIENCE)
            self._say(204)
        elif rest == ["logs"]:
            self._stream(container)

    def _start(self, container: Container) -> None:
        try:
            container.start()
        except OSError as error:
            self._say(400, {"message": f"exec: {error}"})
        else:
            self._say(204)

    def _stream(self, container: Container) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        sent = 0
        while True:
            piece, ended = container.output_from(sent)
            sent += len(piece)
            if piece:
                frame = b"\x01\0\0\0" + len(piece).to_bytes(4, "big") + piece
                self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
            elif ended:
                self.wfile.write(b"0\r\n\r\n")
                return

    def _say(self, status: int, value: Any = None) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def fake_docker() -> Iterator[tuple[FakeDocker, str]]:
    """The engine and its address, as DOCKER_HOST says it."""
    docker = FakeDocker()
    handler = type("Handler", (_Handler,), {"docker": docker})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield docker, f"tcp://127.0.0.1:{server.server_address[1]}"
    finally:
        docker.close()
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)

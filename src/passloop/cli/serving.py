"""Being the engine in this process until told to go down.

The engine itself is composed in `web.host`; here are only signals and readiness.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from passloop.cli.exits import CliError, Exit
from passloop.cli.open_files import all_open_files
from passloop.devices.errors import DeviceError
from passloop.engine.capacity import CapacityError
from passloop.engine.drain import DownMode
from passloop.engine.settings import EngineSettings
from passloop.engine.threads import begun_executor
from passloop.web.host import EngineHost, open_host

__all__ = ["collect_seldom", "make_fit", "serve", "settings_errors"]

_COLLECT_AFTER = (20_000, 50, 10)
"""When Python looks for unreachable cycles. Its usual 700 makes it walk a submission's tasks hundreds of times while
they are being made, which is a third of their cost; none of them is garbage.
"""


def collect_seldom() -> None:
    """Make this process's garbage collector fit for an engine. What is loaded so far stays and is not gone through."""
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def make_fit() -> None:
    """Make this process fit for an engine on the running loop, which is its own. The threads beside the loop begin now:
    a system that is short of processes lets none begin later.
    """
    collect_seldom()
    asyncio.get_running_loop().set_default_executor(begun_executor())


def serve(
    home: str,
    environment: dict[str, str],
    *,
    on_ready: Callable[[], None],
    on_interrupt: Callable[[int], DownMode] | None = None,
) -> None:
    """Be the engine of `home`; `on_ready` is called when its socket answers.

    SIGTERM ends it and leaves running work to the next engine. `on_interrupt` says what the n-th Ctrl-C means.
    """
    with settings_errors(), all_open_files() as before:
        settings = EngineSettings(environ=environment, open_files=before)
        asyncio.run(_serve(home, settings, on_ready, on_interrupt))


@contextmanager
def settings_errors() -> Iterator[None]:
    """Settings that only the engine can check are a user's mistake too."""
    try:
        yield
    except (DeviceError, CapacityError) as wrong:
        raise CliError(str(wrong), hint="passloop config", exit_code=Exit.USAGE) from wrong


async def _serve(
    home: str,
    settings: EngineSettings,
    on_ready: Callable[[], None],
    on_interrupt: Callable[[int], DownMode] | None,
) -> None:
    make_fit()
    async with open_host(Path(home), settings) as host:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, host.go_down, DownMode.LEAVE)
        loop.add_signal_handler(signal.SIGHUP, host.go_down, DownMode.LEAVE)
        if on_interrupt is not None:
            loop.add_signal_handler(signal.SIGINT, _Interrupts(host, on_interrupt).take)
        on_ready()
        await host.wait_down()


class _Interrupts:
    """Counts Ctrl-C and tells the host what each means."""

    def __init__(self, host: EngineHost, meaning: Callable[[int], DownMode]) -> None:
        self._host = host
        self._meaning = meaning
        self._count = 0

    def take(self) -> None:
        """One more Ctrl-C."""
        self._count += 1
        self._host.go_down(self._meaning(self._count))

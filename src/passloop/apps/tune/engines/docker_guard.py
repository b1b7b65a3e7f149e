"""Removes a container when the process that started it dies: it waits for the end of its input, and does nothing else.

    python -m passloop.apps.tune.engines.docker_guard CONTAINER

`done` on its input means that the container is gone already. It ignores SIGTERM, which everything of an attempt gets
when the attempt is stopped: it is then that it may have something to do.
"""

from __future__ import annotations

import signal
import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Guard the container that the first argument names."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    container = (sys.argv[1:] if arguments is None else arguments)[0]
    if sys.stdin.readline().strip() == "done":
        return
    import docker  # here, because it is large and nearly never wanted

    try:
        docker.from_env().containers.get(container).remove(force=True)
    except docker.errors.NotFound:
        return


if __name__ == "__main__":
    main()

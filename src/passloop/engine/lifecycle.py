"""Starts and stops what works in the background. Owns the order: what was started last is stopped first."""

from __future__ import annotations

from typing import Protocol

from passloop.drivers.base import Driver, Fail, Report

__all__ = ["DriverRole", "Role", "Roles"]


class Role(Protocol):
    """Something that works in the background between `start` and `stop`."""

    async def start(self) -> None:
        """Begin."""
        ...

    async def stop(self) -> None:
        """End, and leave nothing behind."""
        ...


class DriverRole:
    """A driver, started with the engine's inbox to report to, and the engine's end for its errors."""

    def __init__(self, driver: Driver, report: Report, failed: Fail) -> None:
        self._driver = driver
        self._report = report
        self._failed = failed

    async def start(self) -> None:
        """Get the driver ready."""
        await self._driver.start(self._report, failed=self._failed)

    async def stop(self) -> None:
        """Let the driver stop watching; what runs goes on."""
        await self._driver.stop()


class Roles:
    """The roles under way."""

    def __init__(self) -> None:
        self._started: list[Role] = []

    async def start(self, role: Role) -> None:
        """Start a role; one that cannot start is not stopped later."""
        await role.start()
        self._started.append(role)

    async def stop(self) -> None:
        """Stop all, the last started first. Each is stopped even if another raises; the first error is raised."""
        errors: list[BaseException] = []
        while self._started:
            try:
                await self._started.pop().stop()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]

"""Errors of the device layer. Each is the user's to fix, so each text says what, where and how."""

from __future__ import annotations

__all__ = ["BadDeviceSetting", "DeviceError", "LockFolderRefused", "UnknownDevice"]


class DeviceError(Exception):
    """The base of what the device layer raises."""


class BadDeviceSetting(DeviceError):
    """A setting about devices cannot be read. The text names the setting, the value and the form it should
    have.
    """

    def __init__(self, setting: str, value: str, why: str, fix: str) -> None:
        shown = value if len(value) <= 60 else f"{value[:57]}..."
        super().__init__(f"{setting}={shown!r}: {why}. To fix it, {fix}.")
        self.setting = setting
        self.value = value


class UnknownDevice(DeviceError):
    """A setting names a device that this machine does not have. The text names it and the devices that
    there are.
    """


class LockFolderRefused(DeviceError):
    """The folder for device locks cannot be trusted or used. The text says why and what to change."""

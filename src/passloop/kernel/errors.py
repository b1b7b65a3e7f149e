"""Errors of the kernel. Both mean a bug in passloop: a user's mistake is answered with a `Refusal` instead."""

from __future__ import annotations

__all__ = ["BrokenInvariant", "IllegalEvent", "KernelError"]


class KernelError(Exception):
    """The base of what the kernel raises."""


class IllegalEvent(KernelError):
    """An event that the task's state does not allow. Nothing was changed; the text tells the task's story."""


class BrokenInvariant(KernelError):
    """A law of the kernel does not hold."""

"""Why a load did not happen at all, by whose fault: the order's (`BadValue`), or the server's and client's (here)."""

from __future__ import annotations

__all__ = ["ClientFailed", "LoadFailed", "NoModel"]


class LoadFailed(Exception):
    """A server could not be loaded, though the order was good."""


class NoModel(LoadFailed):
    """The server does not say which model it serves."""


class ClientFailed(LoadFailed):
    """A foreign client ended without a result. The message has its last words."""

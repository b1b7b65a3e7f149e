"""What the user's settings say about commands themselves: home, colour, grace, patience.

Most people have no settings file; then this costs a few looks for one and no import.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

__all__ = ["chosen_colour", "chosen_setting", "with_chosen_spans"]

_VARIABLES = {"colour": "PASSLOOP_COLOUR", "grace": "PASSLOOP_GRACE", "patience": "PASSLOOP_PATIENCE"}
_SPANS = ("grace", "patience")


def chosen_setting(name: str) -> str | None:
    """The setting as it was written, by variable or file; None if nobody chose. Raises `SpecError` for a bad file."""
    if not os.environ.get(_VARIABLES.get(name, "")) and not _any_file():
        return None
    from passloop.cli.configured import settings_here

    settings = settings_here()
    return None if settings.origins[name] == "default" else settings.written[name]


def chosen_colour() -> str:
    """The colour mode that the settings have. A file that cannot be read is told by who needs it, not by a table."""
    from passloop.apps.errors import SpecError

    try:
        return chosen_setting("colour") or "auto"
    except SpecError:
        return "auto"


def with_chosen_spans(said: dict[str, Any]) -> dict[str, Any]:
    """The options of a task, with grace and patience as the settings have them where nothing was said."""
    unsaid = [name for name in _SPANS if said.get(name) is None]
    return said | {name: chosen for name in unsaid if (chosen := chosen_setting(name)) is not None}


@cache
def _any_file() -> bool:
    """Whether there is a settings file of the project or the user."""
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.exists(os.path.join(config, "passloop", "config.toml")) or _project_file()


def _project_file() -> bool:
    try:
        folder = os.getcwd()
    except FileNotFoundError:  # somebody removed the directory we are in
        return False
    while not os.path.exists(os.path.join(folder, "passloop.toml")):
        parent = os.path.dirname(folder)
        if parent == folder or os.path.exists(os.path.join(folder, ".git")):
            return False
        folder = parent
    return True

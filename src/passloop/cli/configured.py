"""The settings of this command: flags, environment, project file, user file, defaults. Read only when needed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from passloop.apps.settings import Settings, load_settings, project_file, user_file

__all__ = ["settings_here"]


def settings_here(flags: Mapping[str, str | None] | None = None) -> Settings:
    """Every setting as it holds in this directory and environment. Raises `SpecError`."""
    return load_settings(flags=flags or {}, environment=os.environ, project=_project_here(), user=user_file())


def _project_here() -> Path | None:
    try:
        return project_file(Path.cwd())
    except FileNotFoundError:  # somebody removed the directory we are in
        return None

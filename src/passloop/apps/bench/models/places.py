"""Where things about models are kept in the home: converted weights and the digests of large files. Light."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["models_folder"]


def models_folder() -> Path:
    """The folder of models in the home: `PASSLOOP_HOME`, else the XDG state directory. It is not made here."""
    named = os.environ.get("PASSLOOP_HOME")
    if named:
        return Path(named).expanduser().absolute() / "models"
    from platformdirs import user_state_path

    return user_state_path("passloop") / "models"

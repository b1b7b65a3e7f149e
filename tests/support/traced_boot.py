"""What a zygote whose deeds are written down begins with, in the place of the keeper's own `boot.py`."""

from __future__ import annotations

import os
import runpy
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BOOT = os.path.join(
    os.path.dirname(os.path.dirname(HERE)), "src", "passloop", "drivers", "processes", "keeper", "boot.py"
)

sys.path.insert(0, HERE)
effects = __import__("effects")
sys.path.remove(HERE)
effects.install(os.environ[effects.TRACE])
runpy.run_path(os.path.normpath(BOOT), run_name="__main__")

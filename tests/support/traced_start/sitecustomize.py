"""In the PYTHONPATH of a warm worker: Python imports it first, so that all the worker does is written down."""

from __future__ import annotations

import os
import sys

BESIDE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

sys.path.insert(0, BESIDE)
effects = __import__("effects")
sys.path.remove(BESIDE)
if effects.TRACE in os.environ:
    effects.install(os.environ[effects.TRACE])

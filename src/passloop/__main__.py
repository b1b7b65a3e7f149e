"""`python -m passloop`: the same as `passloop`."""

from __future__ import annotations

import sys

from passloop.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

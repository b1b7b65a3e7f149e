"""A home in a folder of its own and an open store in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.store.database import Store
from passloop.store.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    store = Store.open(home)
    yield store
    store.close()

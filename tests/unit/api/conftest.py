"""A folder of locks, for tests of leases."""

from __future__ import annotations

from tests.support.lock_fixtures import folder as folder
from tests.support.lock_fixtures import theirs as theirs

"""The stand-in for NVML, and a folder of locks, for every test of devices."""

from __future__ import annotations

from tests.support.fake_nvml.fixtures import fake_library as fake_library
from tests.support.fake_nvml.fixtures import machine as machine
from tests.support.lock_fixtures import folder as folder
from tests.support.lock_fixtures import theirs as theirs

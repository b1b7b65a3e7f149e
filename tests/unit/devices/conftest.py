"""The stand-in for NVML, for every test of devices."""

from __future__ import annotations

from tests.support.fake_nvml.fixtures import fake_library as fake_library
from tests.support.fake_nvml.fixtures import machine as machine

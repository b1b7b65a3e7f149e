"""What holds for every test: Hypothesis measures no time, because the machine is shared, and prints how to repeat."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("passloop", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("passloop")

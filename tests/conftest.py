"""What holds for every test: Hypothesis measures no time, because the machine is shared, and prints how to repeat.

Interrupts arrive: who starts the tests in the background of a shell ignores SIGINT in all that is started from here,
and a command that cannot be interrupted cannot be tested for it.
"""

from __future__ import annotations

import signal

from hypothesis import HealthCheck, settings

signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("passloop", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("passloop")

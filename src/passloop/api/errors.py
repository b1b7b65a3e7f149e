"""What the Python API raises, beside `TimeoutError` and `ValueError`. The one place that turns errors of other parts
into these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EngineGone", "NeverFits", "PassloopError", "error_of", "told"]


class PassloopError(Exception):
    """Something a person can mend. `message` says what is wrong, `hint` how to go on, `code` is a word for programs."""

    def __init__(self, message: str, *, hint: str = "", code: str = "error") -> None:
        super().__init__(f"{message}\n  how to go on: {hint}" if hint else message)
        self.message = message
        self.hint = hint
        self.code = code


class NeverFits(PassloopError):
    """What was asked can never fit on this machine; the message has the numbers. `vram_mib` has each GPU's size in
    MiB, so its length is how many GPUs there are.
    """

    def __init__(self, message: str, *, hint: str = "", vram_mib: tuple[int, ...] = ()) -> None:
        super().__init__(message, hint=hint, code="never_fits")
        self.vram_mib = vram_mib


class EngineGone(PassloopError):
    """There is no engine to talk to, or it went away before it answered. What runs goes on without it."""

    def __init__(self, message: str, *, hint: str = "passloop up") -> None:
        super().__init__(message, hint=hint, code="engine_gone")


def error_of(code: str, message: str, hint: str) -> PassloopError:
    """The error for what an engine answered."""
    if code == "never_fits":
        return NeverFits(message, hint=hint or "ask for less, or submit it with wait_for_capacity=True")
    return PassloopError(message, hint=hint, code=code)


@contextmanager
def told() -> Iterator[None]:
    """Turn errors of the parts below, which all carry a message and a hint, into those of the API."""
    from passloop.apps.errors import BadValue, SpecError
    from passloop.devices.errors import DeviceError
    from passloop.engine.errors import EngineError
    from passloop.store.errors import StoreError

    try:
        yield
    except (EngineError, SpecError) as wrong:
        raise error_of(wrong.code, wrong.message, wrong.hint) from wrong
    except StoreError as wrong:
        raise PassloopError(wrong.message, hint=wrong.hint, code="store") from wrong
    except DeviceError as wrong:
        raise PassloopError(str(wrong), code="invalid") from wrong
    except BadValue as wrong:
        raise PassloopError(wrong.what, hint=wrong.fix, code="invalid") from wrong

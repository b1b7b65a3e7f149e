"""What the Python API raises, beside `TimeoutError` and `ValueError`. The one place that turns errors of other parts
into these.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from passloop.apps.errors import SpecError

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
        said_as_options = not hint or "--" in hint
        less = "ask for less, give a smaller form in or_variants, or submit it with wait_for_capacity=True"
        return NeverFits(message, hint=less if said_as_options else hint)
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
    except EngineError as wrong:
        raise error_of(wrong.code, wrong.message, wrong.hint) from wrong
    except SpecError as wrong:
        here = _as_arguments(wrong)
        raise error_of(here.code, here.message, here.hint) from wrong
    except StoreError as wrong:
        raise PassloopError(wrong.message, hint=wrong.hint, code="store") from wrong
    except DeviceError as wrong:
        raise PassloopError(str(wrong), code="invalid") from wrong
    except BadValue as wrong:
        raise PassloopError(wrong.what, hint=wrong.fix, code="invalid") from wrong


def _as_arguments(wrong: SpecError) -> SpecError:
    """Options named as the arguments that they are here: `time_limit`, not `--time-limit`; no help of a verb."""
    if not any(problem.where.startswith("--") for problem in wrong.problems):
        return wrong
    names = {"--or": "or_variants"}
    places = (problem.where for problem in wrong.problems)
    named = (names.get(place, place.removeprefix("--").replace("-", "_")) for place in places)
    return type(wrong)([one._replace(where=name) for one, name in zip(wrong.problems, named, strict=True)])

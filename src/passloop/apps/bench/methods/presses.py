"""Builds a method for a loaded model, in a worker: kvpress's class with exactly the parameters that were planned.

What was built is read back and compared. A class that is missing, refuses its parameters or holds other ones ends the
cell with an error, so that no figure ever stands under the name of a method that did not run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from passloop.apps.bench.adapters.base import ResolvedMethod
from passloop.apps.bench.errors import ConfigError, DependencyMissing

from . import maskers
from .table import BASE, METHODS, RATIO, Kept, Method

__all__ = ["Applied", "Dense", "applied"]


class Applied(Protocol):
    """A method as it works on a model: while a context is read, and while a question is answered."""

    renumbered: bool
    measured: bool
    """Whether the length of the cache tells what it keeps."""

    def reading(self, model: Any) -> AbstractContextManager[Any]:
        """Around the reading of one context."""
        ...

    def answering(self, model: Any) -> AbstractContextManager[Any]:
        """Around one question and its answer."""
        ...


class Dense:
    """No method: everything is kept and attended to."""

    renumbered = False
    measured = True

    def reading(self, model: Any) -> AbstractContextManager[Any]:
        """Nothing is done."""
        return nullcontext(model)

    def answering(self, model: Any) -> AbstractContextManager[Any]:
        """Nothing is done."""
        return nullcontext(model)


class Press:
    """A method of kvpress."""

    def __init__(self, known: Method, press: Any) -> None:
        self._press = press
        self._answering = known.answering
        self.renumbered = known.renumbered
        self.measured = known.kept is not Kept.OF_KEYS

    def reading(self, model: Any) -> AbstractContextManager[Any]:
        """The press's hooks, unless it works on answers only."""
        return nullcontext(model) if self._answering else self._press(model)

    def answering(self, model: Any) -> AbstractContextManager[Any]:
        """The press's hooks, if it works on answers; what it gathers begins anew with each."""
        return self._press(model) if self._answering else nullcontext(model)


def applied(method: ResolvedMethod) -> Applied:
    """The method, built. Raises `ConfigError` and `DependencyMissing`."""
    if method.method is None:
        return Dense()
    if method.method == maskers.NAME:
        from .masker_attention import Masked

        return Masked(method.parameters["maskers"])
    known = METHODS.get(method.method)
    if known is None:
        raise ConfigError(f"there is no method {method.method}")
    press = _pressed(method.method, known, method.parameters)
    _compare(method.method, press_parameters(known, press), method.parameters)
    return Press(known, press)


def _pressed(name: str, known: Method, parameters: Mapping[str, Any]) -> Any:
    own = {each: value for each, value in parameters.items() if each != BASE}
    build = _class(known.press)
    if not known.wraps:
        return _built(name, lambda: build(**own))
    base = parameters[BASE]
    inner = {each: value for each, value in base.items() if each != "method"}
    ratio = own.pop(RATIO, None)
    wrapped = _pressed(base["method"], METHODS[base["method"]], inner)
    press = _built(name, lambda: build(**{known.wraps: wrapped}, **own))
    if ratio is not None:
        press.compression_ratio = ratio
    return press


def _class(name: str) -> Callable[..., Any]:
    try:
        import kvpress
    except ImportError as missing:
        raise DependencyMissing(f"kvpress cannot be imported: {missing}") from missing
    found: Callable[..., Any] | None = getattr(kvpress, name, None)
    if found is None:
        raise DependencyMissing(f"kvpress {getattr(kvpress, '__version__', '')} has no {name}")
    return found


def _built(name: str, build: Callable[[], Any]) -> Any:
    """The press; what its class says against its parameters becomes the cell's error."""
    try:
        return build()
    except (TypeError, ValueError, AssertionError) as wrong:
        raise ConfigError(f"the method {name} cannot be built: {wrong}") from wrong


def press_parameters(known: Method, press: Any) -> dict[str, Any]:
    """The parameters that a press holds, in the words of the table."""
    found = {name: getattr(press, name, None) for name in known.parameters}
    if known.wraps:
        wrapped = getattr(press, known.wraps)
        name = next((each for each, method in METHODS.items() if method.press == type(wrapped).__name__), "")
        inner = press_parameters(METHODS[name], wrapped) if name else {}
        found[BASE] = {"method": name, **{each: value for each, value in inner.items() if each != RATIO}}
    return found


def _compare(name: str, found: Mapping[str, Any], planned: Mapping[str, Any]) -> None:
    for each in {*found, *planned}:
        if found.get(each) != planned.get(each):
            message = (
                f"the method {name} was built with {each} = {found.get(each)!r}, planned was {planned.get(each)!r}"
            )
            raise ConfigError(message)

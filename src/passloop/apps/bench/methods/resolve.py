"""From the method a spec names to the method with all its parameters, or to an error that says how to fix it.

Light: it reads the table and the versions of installed packages, nothing else. A parameter that is not the method's,
not of its type or out of its bounds is an error here, so that no cell runs densely, or otherwise, under its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from passloop.apps.bench.adapters.base import MethodAsk, ResolvedMethod, ResolvedModel
from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from . import maskers
from .table import BASE, METHODS, RATIO, SCORERS, Kept, Method, Parameter

__all__ = ["ATTENTION", "resolved_method"]

ATTENTION = "attn_implementation"
"""The load argument that names the implementation of attention."""
LIBRARY = "kvpress"
INSTALL = "pip install 'passloop[bench]'"


def resolved_method(ask: MethodAsk, model: ResolvedModel) -> ResolvedMethod:
    """The method of `ask` with all its parameters, for this model. Raises `BadValue`."""
    if ask.method is None:
        return _dense(ask.parameters)
    if ask.method == maskers.NAME:
        return maskers.resolved(ask.parameters)
    method = _known(ask.method)
    parameters = _parameters(ask.method, method, ask.parameters)
    attention = _attention(ask.method, method, model)
    return ResolvedMethod(
        method=ask.method,
        parameters=parameters,
        load={ATTENTION: attention} if attention else {},
        mutates_model=method.mutates_model,
        kept=_kept(method, parameters),
        version=f"{LIBRARY} {_library_version()}",
    )


def _dense(parameters: Mapping[str, Any]) -> ResolvedMethod:
    for name in parameters:
        fix = "name the method it belongs to: {method: knorm, compression_ratio: 0.5}"
        raise BadValue(f"{shown(name)} is a parameter, but no method is named", fix, path=(name,))
    return ResolvedMethod(kept=1.0)


def _known(name: str) -> Method:
    method = METHODS.get(name)
    if method is None:
        fix = did_you_mean(name, [*METHODS, maskers.NAME])
        raise BadValue(f"there is no method {shown(name)}", fix, path=("method",))
    if method.problem:
        raise BadValue(method.problem, method.fix, path=("method",))
    return method


def _library_version() -> str:
    try:
        return version(LIBRARY)
    except PackageNotFoundError:
        raise BadValue("the method needs kvpress, which is not installed", INSTALL, path=("method",)) from None


def _attention(name: str, method: Method, model: ResolvedModel) -> str:
    """The attention implementation that the method imposes, if any."""
    chosen = model.load.get(ATTENTION)
    if chosen in method.not_attention:
        fix = "load the model with {attn_implementation: sdpa}"
        raise BadValue(f"{name} does not work with {chosen} attention", fix, path=("method",))
    return method.attention


def _parameters(name: str, method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    known = (*method.parameters, *((BASE,) if method.wraps else ()))
    for each in given:
        if each not in known:
            raise BadValue(f"{name} has no parameter {shown(each)}", did_you_mean(each, known), path=(each,))
    found = {each: _value(each, known, given) for each, known in method.parameters.items()}
    if method.wraps:
        found[BASE] = _base(name, given.get(BASE))
    return found


def _value(name: str, known: Parameter, given: Mapping[str, Any]) -> Any:
    if name not in given:
        return known.default
    value = given[name]
    wanted = known.type_ or type(known.default)
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if value is None and known.default is None:
        return None
    if not isinstance(value, wanted) or isinstance(value, bool) is not (wanted is bool):
        raise BadValue(f"{name} is {shown(value)}", f"write {WORDS[wanted]}", path=(name,))
    _check_bounds(name, value, known)
    return value


WORDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}


def _check_bounds(name: str, value: Any, known: Parameter) -> None:
    if known.choices and value not in known.choices:
        raise BadValue(f"{name} is {shown(value)}", did_you_mean(value, known.choices), path=(name,))
    low = known.least is not None and value < known.least
    high = (known.most is not None and value > known.most) or (known.below is not None and value >= known.below)
    if low or high:
        raise BadValue(f"{name} is {value}", f"use {_range(known)}", path=(name,))


def _range(known: Parameter) -> str:
    upper = (
        f"under {known.below:g}" if known.below is not None else "" if known.most is None else f"up to {known.most:g}"
    )
    lower = "" if known.least is None else f"{known.least:g} or more"
    return " and ".join(each for each in (lower, upper) if each)


def _base(name: str, given: Any) -> dict[str, Any]:
    """The wrapped method with all its parameters; its ratio is the wrapper's."""
    asked = {"method": given} if isinstance(given, str) else given
    if not isinstance(asked, Mapping) or not isinstance(asked.get("method"), str):
        fix = "name the method it stands on: {base: expected_attention}, or {base: {method: snapkv, window_size: 32}}"
        raise BadValue(f"{name} wraps another method, and none is named", fix, path=(BASE,))
    method = asked["method"]
    if method not in SCORERS or SCORERS[method].attention:
        raise BadValue(f"{name} cannot wrap {shown(method)}", did_you_mean(method, _plain()), path=(BASE,))
    given_parameters = {each: value for each, value in asked.items() if each != "method"}
    if RATIO in given_parameters:
        raise BadValue(f"{RATIO} stands in {BASE}", f"write it beside `method: {name}`", path=(BASE, RATIO))
    try:
        own = _parameters(method, SCORERS[method], given_parameters)
    except BadValue as bad:
        raise BadValue(bad.what, bad.fix, path=(BASE, *bad.path)) from None
    return {"method": method, **{each: value for each, value in own.items() if each != RATIO}}


def _plain() -> list[str]:
    return [name for name, method in SCORERS.items() if not method.attention]


def _kept(method: Method, parameters: Mapping[str, Any]) -> float | None:
    if method.kept is Kept.BY_RATIO:
        return round(1.0 - float(parameters[RATIO]), 6)
    if method.kept is Kept.OF_KEYS:
        return round(1.0 - float(parameters["key_channel_compression_ratio"]) / 2, 6)
    return None


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not imported to find out."""
    return find_spec(package) is not None

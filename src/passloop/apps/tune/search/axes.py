"""Parameters of a space as a sampler sees them, and back, without loss.

Numbers to choose from are told as their place in order, so that a model can tell near from far; what has no order is a
category. It draws nothing and knows no study.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import Params, Value
from passloop.apps.tune.space import Parameter, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import Trial

__all__ = ["Axes", "Axis", "is_point"]


@dataclass(frozen=True)
class Axis:
    """One parameter. What a sampler is told is a place among `values`, a number, or the value itself."""

    parameter: Parameter

    @cached_property
    def values(self) -> tuple[Value, ...] | None:
        """The values in order where they are told by their place: numbers to choose from."""
        each = self.parameter
        plain = each.values is not None and all(type(value) in (int, float) for value in each.values)
        return tuple(sorted(each.values or ())) if each.kind == "choice" and plain else None

    @cached_property
    def distribution(self) -> BaseDistribution:
        """The same for Optuna."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        each = self.parameter
        if self.values is not None:
            return IntDistribution(0, len(self.values) - 1)
        if each.kind == "int":
            low, high, step = _whole(each)
            return IntDistribution(low, high, log=each.log, step=1 if each.log else step)
        if each.kind == "float":
            return FloatDistribution(
                float(each.low), float(each.high), log=each.log, step=None if each.log else each.step
            )
        return CategoricalDistribution(tuple(each.values or ()))

    def draw(self, trial: Trial) -> Value:
        """A value that the sampler suggests."""
        from optuna.distributions import FloatDistribution, IntDistribution

        name, told = self.parameter.name, self.distribution
        if isinstance(told, IntDistribution):
            return self.decoded(trial.suggest_int(name, told.low, told.high, step=told.step, log=told.log))
        if isinstance(told, FloatDistribution):
            return self.decoded(trial.suggest_float(name, told.low, told.high, step=told.step, log=told.log))
        return self.decoded(trial.suggest_categorical(name, tuple(self.parameter.values or ())))

    def coded(self, value: Value) -> Any:
        """What a sampler is told for a value. Raises `ValueError` for one that is not there."""
        if not self.parameter.holds(value):
            raise ValueError(f"{self.parameter.name} cannot be {value!r}")
        return value if self.values is None else self.values.index(value)

    def decoded(self, told: Any) -> Value:
        """The value that is meant, exactly as the space has it."""
        if self.values is not None:
            return self.values[int(told)]
        each = self.parameter
        if each.kind == "float" and each.values is not None:
            return min(each.values, key=lambda value: abs(float(value) - float(told)))
        if each.kind == "int" and each.values is not None and told not in each.values:
            return min(each.values, key=lambda value: abs(float(value) - float(told)))
        value: Value = told
        return value


class Axes:
    """All parameters of a space."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._axes = {each.name: Axis(each) for each in space.parameters}

    def draw(self, trial: Trial) -> Params:
        """The parameters of a point; those that are not active are not drawn."""
        return self._space.suggest(lambda parameter: self._axes[parameter.name].draw(trial))

    def coded(self, params: Mapping[str, Value]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
        """A point as Optuna's records have it: what was told, and the distributions of just these parameters.

        Raises `ValueError` for what is no point of the space: the engine's own settings may be none.
        """
        if not is_point(self._space, params):
            raise ValueError("these are no point of the space")
        own = {name: self._axes[name] for name in params}
        told = {name: axis.coded(params[name]) for name, axis in own.items()}
        return told, {name: axis.distribution for name, axis in own.items()}


def is_point(space: Space, params: Mapping[str, Value]) -> bool:
    """Whether these are all parameters that are active, and no others."""
    try:
        return space.suggest(lambda parameter: params[parameter.name]) == dict(params)
    except (KeyError, BadValue):
        return False


def _whole(parameter: Parameter) -> tuple[int, int, int]:
    """Low, high and step of whole numbers; the highest is one that the steps reach."""
    values = parameter.values or ()
    low, high = int(values[0]), int(values[-1])
    return low, high, int(values[1]) - low if len(values) > 1 else 1

"""Templates of prompts, expressions and conditions: Jinja2 in its sandbox, undefined names are errors. No loader, so
that a template can read no file. Answers of models are only ever values in a template, never templates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from passloop.apps.errors import BadValue

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2.sandbox import SandboxedEnvironment

__all__ = ["TemplateFailed", "evaluate", "is_condition", "names_in", "render"]

MISSING = "datasets need some more packages"
INSTALL = "pip install 'passloop[generate]'"
LARGEST = 1_000_000
"""Characters, values or bits that a product or a power in a template may have."""


class TemplateFailed(Exception):
    """A template cannot be rendered with these values. One sentence."""


def names_in(text: str) -> frozenset[str]:
    """The names that a template wants to know. Raises `BadValue` for a template that is none, with its line."""
    environment = _environment()
    from jinja2 import TemplateSyntaxError, meta

    try:
        names = meta.TrackingCodeGenerator(environment)
        names.optimizer = None  # or it computes constants, whatever that takes
        names.visit(environment.parse(text))
        _compiled(text)
        return frozenset(names.undeclared_identifiers - environment.globals.keys())
    except TemplateSyntaxError as error:
        at = f" (line {error.lineno} of it)" if "\n" in text else ""
        raise BadValue(f"the template is not readable{at}: {error.message}", "see the Jinja2 syntax") from None
    except (RecursionError, ValueError):
        what = "the template is not readable: it is nested too deep, or has a number that is too long"
        raise BadValue(what, "make it simpler") from None


def is_condition(text: str) -> bool:
    """Whether a template can come out as false: it is one expression, or text only in a block. Braces around a part, or
    none at all, leave a text that is always true.
    """
    return _single_expression(_environment(), text) is not None or "{%" in text


def render(text: str, values: Mapping[str, Any]) -> str:
    """The template as text. Raises `TemplateFailed`."""
    found = _run(text, values, as_text=True)
    return str(found)


def evaluate(text: str, values: Mapping[str, Any]) -> Any:
    """The value of a template that is one `{{ expression }}`, of its own type; of any other template its text.

    Raises `TemplateFailed`.
    """
    return _run(text, values, as_text=False)


def _run(text: str, values: Mapping[str, Any], *, as_text: bool) -> Any:
    from jinja2 import TemplateError

    template, expression = _compiled(text)
    try:
        return template(**values) if as_text or expression is None else _plain(expression(**values))
    except (
        TemplateError,
        ArithmeticError,
        TypeError,
        ValueError,
        LookupError,
        AttributeError,
        RecursionError,
    ) as error:
        raise TemplateFailed(f"{type(error).__name__}: {error}") from None


def _plain(value: Any) -> Any:
    """The value, if JSON can say it; generators become lists, and what is undefined is an error."""
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value]


@lru_cache(maxsize=1_000)
def _compiled(text: str) -> tuple[Callable[..., str], Callable[..., Any] | None]:
    environment = _environment()
    inner = _single_expression(environment, text)
    expression = None if inner is None else environment.compile_expression(inner, undefined_to_none=False)
    return environment.from_string(text).render, expression


def _single_expression(environment: SandboxedEnvironment, text: str) -> str | None:
    """What stands between the braces of a template that is one expression and nothing else."""
    stripped = text.strip()
    kinds = [kind for _, kind, _ in environment.lex(stripped)]
    is_single = kinds[:1] == ["variable_begin"] and kinds.count("variable_begin") == 1 and kinds[-1] == "variable_end"
    return stripped[2:-2].strip("-+ \n\t") if is_single else None


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    try:
        from jinja2 import StrictUndefined, pass_context
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError:
        raise BadValue(MISSING, INSTALL) from None

    class Bounded(ImmutableSandboxedEnvironment):
        """No product or power of a size that holds up the engine."""

        intercepted_binops = frozenset({"*", "**"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if _size_of(operator, left, right) > LARGEST:
                raise OverflowError(f"the result of {operator} is too large")
            return super().call_binop(context, operator, left, right)

    @pass_context
    def as_it_is(_context: object, value: Any) -> Any:
        return value

    # Without the last two, constants are computed while a template is read, whatever that takes.
    return Bounded(undefined=StrictUndefined, keep_trailing_newline=False, optimized=False, finalize=as_it_is)


def _size_of(operator: str, left: Any, right: Any) -> int:
    """About how many bits, characters or values an operation of whole numbers, texts and lists would give."""
    if operator == "**":
        return left.bit_length() * max(right, 0) if isinstance(left, int) and isinstance(right, int) else 0
    if isinstance(left, int):
        left, right = right, left
    return len(left) * right if isinstance(left, str | list | tuple) and isinstance(right, int) else 0

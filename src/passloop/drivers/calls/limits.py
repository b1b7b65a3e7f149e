"""What headers say about limits: Retry-After as a number or a date, `x-ratelimit-*`, limits that are shared. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from math import isfinite

__all__ = ["is_shared", "rate_told", "retry_after"]

DAY = 86_400_000
MINUTE = 60_000

_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 1, "s": 1_000, "m": MINUTE, "h": 60 * MINUTE, "d": DAY}


def retry_after(headers: Mapping[str, str], wall: int) -> int | None:
    """What the other side asks to wait, in ms and at most a day; None if it asks nothing. `wall` is wall time in ms.

    A date counts from the answer's own `Date`, so that clocks which differ do no harm.
    """
    millis = _number(headers.get("retry-after-ms", ""))
    if millis is None:
        text = headers.get("retry-after", "").strip()
        seconds = _number(text)
        millis = seconds * 1_000 if seconds is not None else _until(text, headers.get("date", ""), wall)
    return None if millis is None or millis <= 0 else min(int(millis), DAY)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


def _until(text: str, date: str, wall: int) -> float | None:
    """The span from the answer's date to another date, in ms."""
    then = _date(text)
    now = _date(date)
    if then is None:
        return None
    return then - (wall if now is None else now)


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp() * 1_000
    except (ValueError, TypeError, OverflowError):
        return None


def is_shared(headers: Mapping[str, str]) -> bool:
    """Whether a refusal says that its limit is not the model's own but the account's or the endpoint's."""
    scope = headers.get("x-ratelimit-scope", "").lower()
    return scope not in ("", "model", "user") or headers.get("x-ratelimit-global", "").lower() == "true"


def rate_told(headers: Mapping[str, str], what: str) -> int | None:
    """The limit of `what` (`requests` or `tokens`) per minute that an answer tells; None if it tells none.

    What is used and when it will be whole again gives the length of the window; only one of about a minute is believed,
    since a limit per day says nothing about a minute.
    """
    limit = headers.get(f"x-ratelimit-limit-{what}", "")
    left = headers.get(f"x-ratelimit-remaining-{what}", "")
    if not (limit.isdecimal() and left.isdecimal()):
        return None
    used = int(limit) - int(left)
    reset = _span(headers.get(f"x-ratelimit-reset-{what}", ""))
    if used <= 0 or not reset:
        return None
    window = reset * int(limit) // used
    return int(limit) if MINUTE // 3 <= window <= 3 * MINUTE else None


def _span(text: str) -> int:
    """A span like `1m2.5s`, or a number of seconds, in ms."""
    seconds = _number(text)
    if seconds is not None:
        return int(seconds * 1_000)
    return int(sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(text)))

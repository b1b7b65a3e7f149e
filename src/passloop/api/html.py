"""Tables for notebooks. Every text is escaped; nothing here knows what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["facts_html", "table_html"]

MOST_ROWS = 50


def table_html(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, left: str = "older") -> str:
    """A table with the last rows of many; `left` says what those are that are left out."""
    shown = rows[-MOST_ROWS:]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(_text(cell))}</td>" for cell in row) + "</tr>" for row in shown)
    more = f"<p>{len(rows) - len(shown)} {escape(left)} are not shown</p>" if len(rows) > len(shown) else ""
    return f"<p>{escape(title)}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def facts_html(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """A table of names and values; what is None or empty is left out."""
    told = [(name, _text(value)) for name, value in facts if value not in (None, "", (), {})]
    body = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in told)
    return f"<p>{escape(title)}</p><table><tbody>{body}</tbody></table>"


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else str(value)

"""One HTML file that is complete in itself: no script, nothing fetched, light and dark. What apps' reports share."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from passloop.apps.markup import Markup, element
from passloop.clock import iso_utc

__all__ = ["grid", "moment_text", "page_of"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page_of(title: str, *sections: Markup, made_at: int, style: str = "") -> str:
    """The complete file as text, to be written as UTF-8. `made_at` is wall time in ms; `style` is more CSS."""
    sheet = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(sheet + style)),
    )
    made = element("footer", f"Made by passloop on {moment_text(made_at)}. This file is complete: it loads nothing.")
    return f"<!doctype html>\n{element('html', head, element('body', *sections, made), lang='en')}\n"


def grid(headings: Sequence[str], rows: Sequence[Sequence[Markup]]) -> Markup:
    """A table that scrolls by itself; a column with numbers has its heading on their side."""
    head = []
    for place, heading in enumerate(headings):
        numbers = any('class="number"' in row[place] and not row[place].endswith("></td>") for row in rows)
        head.append(element("th", heading, scope="col", class_="number" if numbers else None))
    body = element("tbody", *(element("tr", *row) for row in rows))
    table = element("table", element("thead", element("tr", *head)), body)
    return element("div", table, class_="scroll", tabindex=0)


def moment_text(millis: int) -> str:
    """A moment for people, in UTC."""
    text = iso_utc(millis) or ""
    return f"{text[:10]} {text[11:19]} UTC"

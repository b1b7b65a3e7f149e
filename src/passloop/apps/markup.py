"""HTML by construction: every text is escaped unless it is `Markup` already. No script gets through."""

from __future__ import annotations

import html
import re

from passloop.apps.text import UNSAFE

__all__ = ["Markup", "element", "joined", "plain_log", "plain_text"]

VOID = frozenset({"br", "line", "meta", "path", "rect", "circle"})
# CSI and OSC sequences, and the short escapes: what a terminal would obey and a page should not show.
TERMINAL_CODES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | int | float | None) -> Markup:
    """One element, children and attribute values escaped; `class_` is written `class`, `_` is written `-`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(plain_text(str(value)), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID and not children:
        return Markup(f"<{name}{given}/>")
    return Markup(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Children one after the other, each escaped unless it is `Markup`."""
    return Markup("".join(child if isinstance(child, Markup) else _escaped(child) for child in children))


def plain_text(text: str) -> str:
    """One line with every control, invisible or direction-changing character made visible."""
    return UNSAFE.sub(lambda match: f"\\u{{{ord(match.group()):x}}}", text)


def plain_log(text: str) -> str:
    """Log lines as text: terminal codes dropped, progress folded to its last form, the rest made visible."""
    lines = TERMINAL_CODES.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join(plain_text(line.rstrip("\r").rpartition("\r")[2].replace("\t", "    ")) for line in lines)


def _escaped(text: str) -> str:
    return "\n".join(html.escape(plain_text(line), quote=True) for line in text.split("\n"))

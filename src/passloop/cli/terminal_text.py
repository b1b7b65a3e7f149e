"""A program's output made safe for a terminal, piece by piece. It keeps text and takes out what moves the cursor, sets
titles, writes the clipboard, rings, or reverses the order of what is read.

Bytes are read as UTF-8 before anything is looked for: taken out of raw bytes, a code can leave two halves behind that
are another one. A code that is cut by the end of a piece waits for the next.
"""

from __future__ import annotations

import codecs
import re

__all__ = ["TerminalText"]

LONGEST_WAIT = 8_192
"""Characters of an unfinished code that are kept; what is longer is no code."""

CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor movement
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, clipboards and other strings for the terminal
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b]*\x1b?|[ -/]*)?\Z")


class TerminalText:
    """What one program writes to one stream."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._waiting = ""

    def feed(self, data: bytes) -> bytes:
        """The next piece, without its codes."""
        text = self._waiting + self._decode(data)
        cut = UNFINISHED.search(text)
        end = cut.start() if cut is not None and len(text) - cut.start() <= LONGEST_WAIT else len(text)
        self._waiting = text[end:]
        return CONTROLS.sub("", text[:end]).encode()

"""The submission as plain data, as a client that must start quickly makes it: dicts, lists and texts, in JSON by the
standard library.

What may stand in a document and what is meant where something is left out is said once, in `wire.py`; here nothing is
known of it. It never imports `wire`, because that import takes longer than all the rest of a submission.
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["Document", "document_bytes", "present"]

Document = dict[str, Any]


def present(**fields: Any) -> Document:
    """What was said: a field that is None is left out."""
    return {name: value for name, value in fields.items() if value is not None}


def document_bytes(document: Document) -> bytes:
    """The request body of POST /submit."""
    return json.dumps(document, separators=(",", ":")).encode()

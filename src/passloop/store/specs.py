"""Specs, each distinct one once. A submission of thousands of tasks names one row here."""

from __future__ import annotations

import hashlib

import apsw

from passloop.kernel.tasks import TaskSpec

from .records import encode_json
from .sql import statement

__all__ = ["intern_spec"]


def intern_spec(connection: apsw.Connection, spec: TaskSpec) -> int:
    """The id of the row that holds `spec`, which is written if it is new. Inside the caller's transaction."""
    body = encode_json(spec)
    digest = hashlib.blake2b(body.encode(), digest_size=16).hexdigest()
    connection.execute(statement("insert_spec"), (digest, body))
    found = connection.execute(statement("select_spec_id"), (digest,)).get
    return int(found)

"""Places on the disk that are made from the names that people give: one part of a path each, and distinct ones for
distinct names. Must never lead out of the folder that they are used in.
"""

from __future__ import annotations

import hashlib
import re

__all__ = ["place_name"]

PLAIN = re.compile(r"[\w][\w .+@=,-]*(?<! )")
"""Names that are a part of a path as they are: no separator, not hidden, no option, nothing that a shell expands."""
LONGEST = 100
"""In bytes: endings and the names of files beside it must fit into the 255 that a file system allows."""
NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
DIGITS = 10


def place_name(name: str) -> str:
    """One part of a path for `name`: the name itself where it can be one, else what is plain of it, `~` and digits of
    its hash. No name that is kept as it is has a `~`, so that distinct names have distinct places.
    """
    if PLAIN.fullmatch(name) and len(name.encode("utf-8", "surrogatepass")) <= LONGEST:
        return name
    digits = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:DIGITS]
    plain = NOT_PLAIN.sub("_", name).strip("._-")[: LONGEST // 2]
    return f"{plain or '_'}~{digits}"

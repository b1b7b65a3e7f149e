"""Which variables look like secrets: what is stored or shown leaves their values out. So do identities, by a rule of
their own that never changes, so that what is in a store is found again.
"""

from __future__ import annotations

import re

__all__ = ["holds_password", "is_outside_identity", "looks_secret"]

SECRET_PART = re.compile(r"SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|PRIVATE_?KEY|API_?KEY")
SECRET_WORD = re.compile(r"(?:KEYS?|TOKENS?|PASS|PWD|AUTH|COOKIE)")
NOT_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "GNUPG_AUTH_SOCK"})
_LATER = "PAT|DSN|JWT|BEARER|WEBHOOK|SSHPASS|AUTHORIZATION|CONNECTION_?STRING"
KEPT_IN_IDENTITIES = re.compile(f"(?:.*_)?(?:{_LATER})(?:_.*)?")
"""Names that were not known for secrets when the first stores were made. More names belong here, never above."""
PASSWORD = re.compile(r"://[^/\s:@]*:[^/\s@]+@")


def looks_secret(name: str) -> bool:
    """Whether a variable's name looks like that of a secret: `HF_TOKEN`, `OPENAI_API_KEY`, `GITHUB_PAT`."""
    return is_outside_identity(name) or KEPT_IN_IDENTITIES.fullmatch(name.upper()) is not None


def is_outside_identity(name: str) -> bool:
    """Whether a variable's value is no part of what makes two results the same, for it is a secret."""
    upper = name.upper()
    if upper in NOT_SECRET:
        return False
    if SECRET_PART.search(upper):
        return True
    return any(SECRET_WORD.fullmatch(word) or word.endswith(("TOKEN", "KEY")) for word in upper.split("_"))


def holds_password(value: str) -> bool:
    """Whether a value is, or holds, a URL with a password: `postgres://me:pw@host/db`."""
    return PASSWORD.search(value) is not None

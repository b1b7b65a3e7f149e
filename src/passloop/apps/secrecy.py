"""Which names of variables look like those of secrets: what is stored, hashed or shown leaves their values out."""

from __future__ import annotations

import re

__all__ = ["looks_secret"]

SECRET_PART = re.compile(r"SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|PRIVATE_?KEY|API_?KEY")
SECRET_WORD = re.compile(r"(?:KEYS?|TOKENS?|PASS|PWD|AUTH|COOKIE)")
NOT_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "GNUPG_AUTH_SOCK"})


def looks_secret(name: str) -> bool:
    """Whether a variable's name looks like that of a secret: `HF_TOKEN`, `OPENAI_API_KEY`, `DBPASSWORD`."""
    upper = name.upper()
    if upper in NOT_SECRET:
        return False
    if SECRET_PART.search(upper):
        return True
    return any(SECRET_WORD.fullmatch(word) or word.endswith(("TOKEN", "KEY")) for word in upper.split("_"))

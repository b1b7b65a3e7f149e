"""A name that is known for a secret's later than others changes no identity: what is in a store is found again."""

from __future__ import annotations

from passloop.apps.queue.identity import Identity
from passloop.apps.secrecy import looks_secret
from passloop.apps.tune.identity import hash_of

LATER = ("GITHUB_PAT", "SENTRY_DSN", "JWT", "SSHPASS", "GH_BEARER", "A_WEBHOOK_URL", "DB_CONNECTION_STRING")
ENV = {name: str(number) for number, name in enumerate((*LATER, "AUTHORIZATION"), 1)} | {"HF_TOKEN": "9"}


def test_a_name_that_is_known_for_a_secrets_later_changes_no_identity() -> None:
    assert all(map(looks_secret, ENV))
    assert Identity(["x"], env=ENV, code="c").key_of({"a": 1}) == "f2600fe456b59a736de3b5e35839a9ac"
    assert hash_of(["x"], ENV, gpus=1, cpus_milli=0) == "b1b1624b78f0f1a4"

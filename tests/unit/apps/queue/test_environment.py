"""Variables that look like secrets are left out of what is stored; the others are kept."""

from __future__ import annotations

import pytest

from passloop.apps.queue.environment import looks_secret, storable


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "MYSQL_PWD",
        "DBPASSWORD",
        "db_passwd",
        "SSH_KEYS",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "AUTHTOKEN",
        "SESSION_COOKIE",
        "WANDB_API_KEY",
        "PRIVATE_KEY_PATH",
        "SECRET",
        "PROXY_AUTH",
        "KEY",
        "GITHUB_PAT",
        "AZURE_STORAGE_CONNECTION_STRING",
        "SENTRY_DSN",
        "SLACK_WEBHOOK_URL",
        "JWT",
        "SSHPASS",
        "GH_BEARER",
        "HTTP_AUTHORIZATION",
    ],
)
def test_a_secret_is_known_by_its_name(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "PWD",
        "OLDPWD",
        "HOME",
        "TOKENIZERS_PARALLELISM",
        "KEYBOARD_LAYOUT",
        "SSH_AUTH_SOCK",
        "CUDA_HOME",
        "XDG_SESSION_ID",
        "OMP_NUM_THREADS",
        "COMPASS",
        "COMPAT_LEVEL",
        "PATTERN",
        "DATABASE_URL",
    ],
)
def test_an_ordinary_variable_is_kept(name: str) -> None:
    assert not looks_secret(name)


def test_what_is_not_utf8_or_belongs_to_an_outer_attempt_is_not_stored() -> None:
    environment = {"A": "\udcff", "PASSLOOP_TASK_ID": "7", "PASSLOOP_HOME": "/h", "MY_KEY": "x", "B": "ä"}
    kept = storable(environment)
    assert kept.stored == {"PASSLOOP_HOME": "/h", "B": "ä"}
    assert kept.left_out == ("A", "MY_KEY")


@pytest.mark.parametrize(
    ("value", "is_kept"),
    [
        ("postgres://me:pw@host/db", False),
        ("redis://:pw@host:6379", False),
        ("a;http://me:pw@proxy:3128/", False),
        ("sqlite:///a.db", True),
        ("https://host:8080/a@b:c", True),
        ("ssh://git@host:22/x", True),
        ("/a:/b@c", True),
    ],
)
def test_a_url_with_a_password_is_not_stored(value: str, is_kept: bool) -> None:
    kept = storable({"DATABASE_URL": value})
    assert kept == (({"DATABASE_URL": value}, ()) if is_kept else ({}, ("DATABASE_URL",)))

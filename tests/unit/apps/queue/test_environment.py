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
    ],
)
def test_an_ordinary_variable_is_kept(name: str) -> None:
    assert not looks_secret(name)


def test_what_is_not_utf8_or_belongs_to_an_outer_attempt_is_not_stored() -> None:
    environment = {"A": "\udcff", "PASSLOOP_TASK_ID": "7", "PASSLOOP_HOME": "/h", "MY_KEY": "x", "B": "ä"}
    kept = storable(environment)
    assert kept.stored == {"PASSLOOP_HOME": "/h", "B": "ä"}
    assert kept.left_out == ("A", "MY_KEY")
